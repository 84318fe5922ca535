"""Review by keyboard in real Chromium: no press is lost, not even when the server is killed."""

import re

import pytest
from app_runs import image_run
from conftest import Server, queue, settle, shot, visit

from oga_core.review import ReviewStore

pytestmark = pytest.mark.browser


def decided(run):
    store = ReviewStore(run.review)
    try:
        return store.decisions()
    finally:
        store.close()


def begin(page, server, path):
    visit(page, server, path)
    # Keys count from the moment that a sample shows.
    queue(page).wait_for(timeout=60_000)


def until(page, count, timeout=60_000):
    queue(page).filter(has_text=re.compile(rf"^{count} of ")).wait_for(timeout=timeout)


def test_every_key_does_what_it_says(page, server, runs):
    run = image_run(runs, "keys")
    begin(page, server, "review?run=keys")
    for count, key in enumerate("kru", start=1):
        page.keyboard.press(key)
        until(page, count)
    # The key of a digit is the digit itself.
    other = page.locator(".classes button:not(.given)").first
    assert other.locator("kbd").inner_text() == other.locator(".name").inner_text()
    page.keyboard.press(other.locator("kbd").inner_text())
    until(page, 4)
    actions = [decision.action for decision in decided(run).values()]
    assert sorted(actions) == ["keep", "relabel", "remove", "unsure"]
    page.keyboard.press("z")
    until(page, 3)
    assert len(decided(run)) == 3
    page.keyboard.press("Shift+Z")
    until(page, 4)
    page.keyboard.press("?")
    page.get_by_text("Keep it as it is").wait_for(timeout=5_000)
    shot(page, "review-keys")
    page.keyboard.press("Escape")
    page.reload()
    settle(page)
    until(page, 4)
    assert len(decided(run)) == 4


def test_back_and_forward_keep_pages_decisions_and_keys(page, server, runs):
    run = image_run(runs, "way")
    visit(page, server, "explore?run=way")
    page.locator(".stAppHeader").get_by_role("link", name="Review", exact=True).click()
    queue(page).wait_for(timeout=60_000)
    settle(page)
    page.keyboard.press("k")
    until(page, 1)
    page.locator(".stAppHeader").get_by_role("link", name="Export", exact=True).click()
    settle(page)
    for step, title in ((page.go_back, "Review"), (page.go_back, "Explore"), (page.go_forward, "Review")):
        step()
        page.locator("h1.oga", has_text=title).wait_for(timeout=60_000)
        settle(page)
    until(page, 1)
    page.keyboard.press("r")
    until(page, 2)
    assert sorted(decision.action for decision in decided(run).values()) == ["keep", "remove"]


def test_a_page_that_is_noted_before_its_run_is_one_step_back(page, server, runs):
    image_run(runs, "way")
    visit(page, server, "explore?run=way")
    steps = page.evaluate(
        """() => {
          const before = history.length;
          history.pushState({}, "", "/review");
          history.pushState({}, "", "/review?run=way");
          history.pushState({}, "", "/review?run=way&score=loss");
          return [history.length - before, location.pathname + location.search];
        }"""
    )
    assert steps == [2, "/review?run=way&score=loss"]


def test_ten_presses_a_second_all_arrive(page, server, runs):
    run = image_run(runs, "fast")
    begin(page, server, "review?run=fast&flagged=60")
    for _ in range(30):
        page.keyboard.press("k")
        page.wait_for_timeout(100)
    until(page, 30)
    assert len(decided(run)) == 30


def test_a_killed_server_loses_and_doubles_nothing(browser, tmp_path):
    run = image_run(tmp_path, "killed")
    server = Server(tmp_path)
    server.start()
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    begin(page, server, "review?run=killed&flagged=60")
    pressed = 0
    for _ in range(3):
        for _ in range(5):
            page.keyboard.press("r")
            pressed += 1
            page.wait_for_timeout(60)
        server.kill()
        server.start()
        page.reload()
        page.wait_for_selector("h1.oga", timeout=60_000)
        until(page, pressed)
    server.kill()
    store = ReviewStore(run.review)
    assert store.counts()["remove"] == pressed
    assert sum(step.kind == "decide" for step in store.history(limit=1000)) == pressed
    store.close()
    page.close()


def test_two_reviewers_never_get_the_same_sample(browser, tmp_path):
    run = image_run(tmp_path, "shared")
    servers = [Server(tmp_path, "--reviewer", name) for name in ("ann", "bob")]
    pages = []
    for server in servers:
        server.start()
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        begin(page, server, "review?run=shared&flagged=100")
        pages.append(page)
    for _ in range(8):
        for page in pages:
            page.keyboard.press("k")
            page.wait_for_timeout(120)
    for page in pages:
        settle(page)
    page.wait_for_timeout(1500)
    for server in servers:
        server.kill()
    store = ReviewStore(run.review)
    assert store.reviewers() == {"ann": 8, "bob": 8}
    assert all(len(votes) == 1 for votes in store.votes().values())
    store.close()
    for page in pages:
        page.close()


def test_history_and_grid_by_class(page, server, runs):
    image_run(runs, "grids")
    begin(page, server, "review?run=grids")
    page.keyboard.press("k")
    until(page, 1)
    page.get_by_text("Grid by class", exact=True).click()
    settle(page)
    assert page.locator(".oga-problem").count() == 0
    shot(page, "review-grid")
    page.get_by_text("History", exact=True).click()
    settle(page)
    shot(page, "review-history")
    page.get_by_role("button", name="Undo my last step").click()
    settle(page)
    page.get_by_text("Reviewers", exact=True).click()
    settle(page)
    shot(page, "review-reviewers")
    assert page.locator(".oga-problem").count() == 0
