"""A chat set in real Chromium: responses edited by keyboard, and the whole job from an upload to TRL's reader."""

import json
import re
import shutil
import warnings
from uuid import uuid4

import datasets
import pytest
from app_runs import chat_rows, language_run
from conftest import drop, queue, score, settle, shot, visit
from language_models import adapter_folder, llama_folder
from test_review_page import begin, decided, until
from tokenizers_of_language import UNMARKED, byte_level
from transformers import LlamaForCausalLM
from trl import SFTConfig, SFTTrainer

from oga_core.runs.folder import RunFolder

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::FutureWarning")]

FIELDS = "textarea[aria-label^='Response']"
N_ROWS = 160  # of which 5 % are flagged: one more than are reviewed


def open_editor(page):
    page.keyboard.press("e")
    page.locator(FIELDS).last.wait_for(timeout=10_000)
    return page.locator(FIELDS)


@pytest.fixture
def chat(runs):
    return language_run(runs, f"chat-{uuid4().hex[:6]}", rows=chat_rows(12))


def test_a_response_is_edited_by_keyboard_and_the_edit_is_undone(page, server, chat):
    begin(page, server, f"review?run={chat.path.name}")
    assert not page.get_by_text("Enter saves, Escape leaves", exact=True).is_visible()  # of a number's field
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
    page.set_viewport_size({"width": 390, "height": 844})
    body = page.locator(".body").first
    page.wait_for_function("width => document.body.clientWidth <= width", arg=390)
    assert page.locator(FIELDS).first.bounding_box()["width"] > 0.95 * body.bounding_box()["width"]
    page.set_viewport_size({"width": 1440, "height": 1000})
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


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The rows, and the adapter with its base model as one zip."""
    folder = tmp_path_factory.mktemp("files")
    rows = folder / "chats.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in chat_rows(N_ROWS)))
    return rows, shutil.make_archive(str(folder / "adapter"), "zip", adapter_folder(folder / "adapter"))


def tokens_by_trl(path, folder):
    """What TRL's trainer makes of the exported rows."""
    rows = datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=str(folder / "cache"))
    model = LlamaForCausalLM.from_pretrained(llama_folder(folder / "base"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = SFTConfig(str(folder / "out"), use_cpu=True, bf16=False, report_to="none")
        trainer = SFTTrainer(model, config, train_dataset=rows, processing_class=byte_level(UNMARKED, bos=True))
    return rows, [row["input_ids"] for row in trainer.train_dataset]


def test_a_chat_set_from_upload_to_trl(page, desk, files, tmp_path):
    rows, adapter = files
    visit(page, desk, "run")
    drop(page, rows, adapter)
    score(page, desk, "chats")
    shot(page, "chat-run")

    visit(page, desk, "review?run=chats")
    queue(page).wait_for(timeout=60_000)
    edited = {}
    for count, key in enumerate("kerekuk", start=1):
        if key == "e":
            page.keyboard.press("e")
            page.locator(FIELDS).last.wait_for(timeout=10_000)
            edited[page.locator(".position").inner_text().split("· ")[-1]] = f"As corrected, {count}."
            page.locator(FIELDS).last.fill(f"As corrected, {count}.")
            page.keyboard.press("Control+Enter")
        else:
            page.keyboard.press(key)
        queue(page).filter(has_text=f"{count} of").wait_for(timeout=60_000)
    shot(page, "chat-review")

    visit(page, desk, "export?run=chats")
    page.get_by_role("combobox", name="Format").click()
    page.get_by_role("option", name="Fixed data set").click()
    settle(page)
    for text in ("Relabel", "Label Studio", "FiftyOne"):
        assert page.get_by_text(text).count() == 0, text
    page.get_by_role("button", name="Prepare a download").click()
    with page.expect_download(timeout=120_000) as download:
        page.get_by_role("button", name="Download", exact=True).click(timeout=120_000)
    shot(page, "chat-export")
    download.value.save_as(tmp_path / "fixed.jsonl")
    assert RunFolder.open(desk.folder / "chats").info.modality == "causal_lm"

    exported, tokens = tokens_by_trl(tmp_path / "fixed.jsonl", tmp_path)
    assert len(exported) == N_ROWS - 1
    answers = {row["id"]: row["messages"][3]["content"] for row in exported}
    assert {key: answers[key] for key in edited} == edited
    words = [byte_level(UNMARKED, bos=True).decode(ids) for ids in tokens]
    assert sum("As corrected," in text for text in words) == 2
