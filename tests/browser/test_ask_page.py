"""The page Ask in real Chromium: two lists of rows for a prompt, and for a row that is being reviewed."""

import pytest
from ask_runs import rows, scored_run
from conftest import Server, settle, shot, visit

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("asked")
    scored_run(folder)
    server = Server(folder)
    server.start()
    yield server
    server.kill()


def test_a_prompt_gets_the_rows_for_it_and_against_it(page, asked):
    visit(page, asked, "ask?run=run")
    page.get_by_label("Prompt").fill(rows()[3]["prompt"])
    page.get_by_label("Response").fill(rows()[3]["completion"])
    page.get_by_role("button", name="Ask", exact=True).click()
    page.get_by_text("Pushed against it").wait_for(timeout=120_000)
    settle(page)
    # The row whose own words were asked for comes first, and says that it is no discovery.
    assert "nearly the same words" in page.locator(".oga-push.for + p").first.inner_text()
    assert page.locator(".oga-push.for").count() > 1
    assert page.locator(".oga-push.against").count() > 1
    shot(page, "ask")
    page.get_by_text("Cosine", exact=True).click()
    page.get_by_text("Cosine, on whole gradients").wait_for(timeout=60_000)


def test_an_empty_prompt_says_what_to_do_and_the_model_writes_what_is_not_given(page, asked):
    visit(page, asked, "ask?run=run")
    page.get_by_role("button", name="Ask", exact=True).click()
    page.get_by_text("The prompt is empty").wait_for(timeout=120_000)
    page.get_by_label("Prompt").fill("say red ")
    page.get_by_role("button", name="Ask", exact=True).click()
    page.get_by_text("The model says").wait_for(timeout=120_000)


def test_a_row_leads_to_rows_like_it_and_back_to_the_review(page, asked):
    visit(page, asked, "review?run=run")
    page.get_by_role("button", name="Rows like this, rows against this").click()
    page.get_by_text("What row").wait_for(timeout=120_000)
    settle(page)
    page.get_by_role("button", name="Review", exact=True).first.click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").wait_for(timeout=60_000)


def test_other_runs_have_no_such_page(page, server):
    visit(page, server, "explore?run=digits")
    assert page.get_by_role("link", name="Explore").count() > 0
    assert page.get_by_role("link", name="Ask", exact=True).count() == 0
