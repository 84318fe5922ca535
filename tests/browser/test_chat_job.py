"""The whole job on a chat set in real Chromium: an adapter and rows in, a review with two edits, rows out for TRL."""

import json
import shutil
import warnings

import datasets
import pytest
from app_runs import chat_rows
from conftest import Server, queue, settle, shot, visit
from language_models import adapter_folder, llama_folder
from test_edit_page import FIELDS
from tokenizers_of_language import UNMARKED, byte_level
from transformers import LlamaForCausalLM
from trl import SFTConfig, SFTTrainer

from oga_core.runs.folder import RunFolder

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::FutureWarning")]
N_ROWS = 160  # of which 5 % are flagged: one more than are reviewed


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("chats"))
    running.start()
    yield running
    running.kill()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The rows, and the adapter with its base model as one zip."""
    folder = tmp_path_factory.mktemp("files")
    rows = folder / "chats.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in chat_rows(N_ROWS)))
    return rows, shutil.make_archive(str(folder / "adapter"), "zip", adapter_folder(folder / "adapter"))


def upload(page, place, file):
    page.get_by_text("Or upload (up to 200 MB)").nth(place).click()
    page.locator("input[type=file]").nth(0 if place == 0 else -1).set_input_files(file)
    settle(page)


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
    upload(page, 0, rows)
    upload(page, 1, adapter)
    page.get_by_role("textbox", name="Name of the run").fill("chats")
    page.keyboard.press("Tab")
    settle(page)
    page.get_by_role("button", name="Start scoring").click()
    page.wait_for_url("**run=chats**", timeout=60_000)
    page.get_by_text("language-model rows").or_(page.locator(".oga-problem")).first.wait_for(timeout=300_000)
    settle(page)
    assert page.locator(".oga-problem").all_inner_texts() == []
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
