"""What a language model is trained on, in real Chromium: before scoring, on the Run page and in review."""

import json

import pytest
from conftest import give, queue, score, settle, shot, visit
from language_models import llama_folder

pytestmark = pytest.mark.browser

TURNS = [
    {"role": "system", "content": "You are <b>brief</b>."},
    {"role": "user", "content": "the quick fox ?"},
    {"role": "assistant", "content": "over the lazy dog ."},
    {"role": "user", "content": "again !"},
]


@pytest.fixture
def chats(tmp_path):
    rows = [{"messages": [*TURNS, {"role": "assistant", "content": "the fox jumps " * i}]} for i in range(12)]
    path = tmp_path / "chats.jsonl"
    path.write_text("\n".join(map(json.dumps, [{"messages": TURNS[:2]}, *rows])))
    return path


def fill(page, name, text):
    page.get_by_role("textbox", name=name).fill(str(text))
    page.keyboard.press("Tab")
    settle(page)


def test_tokens_are_seen_before_scoring_and_in_review(page, desk, chats, tmp_path):
    visit(page, desk, "run")
    give(page, chats, llama_folder(tmp_path / "model", max_length=96))
    page.get_by_role("button", name="See what is trained on").click()
    page.get_by_text("1 row(s) are left out").wait_for(timeout=120_000)
    page.locator(".oga-tokens .trained").nth(3).wait_for(timeout=60_000)
    rows = page.locator(".oga-tokens:not(.oga-legend)")
    assert rows.count() == 3
    assert rows.nth(0).locator(".trained").count() == 0
    assert "".join(rows.nth(1).locator(".trained").all_inner_texts()).startswith("over the lazy dog .")
    assert rows.nth(1).locator("b").count() == 0
    rows.nth(1).scroll_into_view_if_needed()
    shot(page, "tokens-before")
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 900})
    settle(page)
    rows.nth(2).scroll_into_view_if_needed()
    shot(page, "tokens-before-dark-390")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1440, "height": 1000})
    score(page, desk, "chats")
    page.get_by_text("1 row(s) are left out").first.wait_for()
    shot(page, "tokens-run")
    visit(page, desk, "review?run=chats")
    queue(page).wait_for(timeout=60_000)
    page.get_by_text("Show what is trained on").click()
    rows.first.locator(".trained").first.wait_for(timeout=120_000)
    rows.first.scroll_into_view_if_needed()
    shot(page, "tokens-review")
