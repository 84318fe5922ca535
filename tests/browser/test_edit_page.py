"""A response corrected in the review, in real Chromium: by keyboard, with the difference, undone, and saved."""

import re
from uuid import uuid4

import pytest
from app_runs import chat_rows, language_run
from conftest import queue, shot, visit
from test_review_page import begin, decided, until

pytestmark = pytest.mark.browser

FIELDS = "textarea[aria-label^='Response']"


def open_editor(page):
    page.keyboard.press("e")
    page.locator(FIELDS).last.wait_for(timeout=10_000)
    return page.locator(FIELDS)


@pytest.fixture
def chat(runs):
    return language_run(runs, f"chat-{uuid4().hex[:6]}", rows=chat_rows(12))


def test_a_response_is_edited_by_keyboard_and_the_edit_is_undone(page, server, chat):
    begin(page, server, f"review?run={chat.path.name}")
    fields = open_editor(page)
    assert [fields.nth(i).input_value() for i in (0, 1)] == ["It is 11.", "Then 11 ends."]
    fields.last.fill("Then 11 goes on.\nk r u z")
    assert page.locator(".difference ins").all_inner_texts() == ["goes on", "\nk r u z"]
    assert page.locator(".difference del").all_inner_texts() == ["ends"]
    shot(page, "review-edit")
    page.keyboard.press("Control+Enter")
    until(page, 1)
    assert dict(decided(chat)["c011"].edit) == {"/messages/3/content": "Then 11 goes on.\nk r u z"}
    page.keyboard.press("ArrowLeft")
    page.locator(".changes ins").first.wait_for(timeout=10_000)
    page.get_by_text("Decided: edited").wait_for(timeout=10_000)
    shot(page, "review-edited")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("z")
    until(page, 0)
    assert decided(chat) == {}
    page.keyboard.press("Shift+Z")
    until(page, 1)
    assert decided(chat)["c011"].edit


def test_escape_leaves_and_what_was_typed_is_there_again(page, server, chat):
    begin(page, server, f"review?run={chat.path.name}")
    open_editor(page).first.fill("Half a thou")
    page.keyboard.press("Escape")
    page.locator(FIELDS).first.wait_for(state="detached", timeout=5_000)
    assert decided(chat) == {}
    assert open_editor(page).first.input_value() == "Half a thou"
    page.get_by_role("button", name="Put the original text back").first.click()
    page.keyboard.press("Control+Enter")
    page.get_by_text("The text is as it was").wait_for(timeout=5_000)
    page.keyboard.press("k")
    until(page, 1)
    assert [decision.action for decision in decided(chat).values()] == ["keep"]


def test_without_classes_nothing_is_shown_that_needs_them(page, server, chat):
    begin(page, server, f"review?run={chat.path.name}")
    for text in ("Take suggestion", "Search class", "Grid by class"):
        assert page.get_by_text(text).count() == 0, text
    page.keyboard.press("?")
    page.get_by_text("Edit the response").wait_for(timeout=5_000)
    assert page.get_by_text(re.compile("classes|suggestion")).count() == 0
    page.keyboard.press("Escape")
    page.keyboard.press("s")
    page.keyboard.press("1")
    assert page.get_by_text("There is no suggestion").count() == 0
    visit(page, server, f"explore?run={chat.path.name}")
    for text in ("Given label", "Predicted label", "Label", "Relabel", "Take suggestions"):
        assert page.get_by_text(text, exact=True).count() == 0, text


def test_the_history_shows_the_new_text(page, server, chat):
    begin(page, server, f"review?run={chat.path.name}")
    open_editor(page).last.fill("As corrected.")
    page.keyboard.press("Control+Enter")
    until(page, 1)
    assert queue(page).count() == 1
    page.get_by_text("History", exact=True).first.click()
    page.locator("canvas, [data-testid=stDataFrame]").first.wait_for(timeout=30_000)
    shot(page, "review-history")
