"""Rows for TRL, Axolotl and LLaMA-Factory: loaded by TRL itself, and held against what the other two document."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
import yaml
from language_rows import N_ROWS, SHAPES, write_rows
from test_edited_rows import EDITED, NEW, REMOVED, scored
from trainer_tokenizer import chat_tokenizer
from transformers import LlamaConfig, LlamaForCausalLM
from trl import SFTConfig, SFTTrainer
from trl.data_utils import is_conversational

from oga_core.notebook.run import Run
from oga_core.readers.answers.responses import responses

FILES = [(shape, format) for shape in SHAPES for format in ("jsonl", "parquet")]


@pytest.fixture
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    shape, format = request.param
    run = scored(tmp_path, write_rows(tmp_path, SHAPES[shape][0], format))
    ids = run.table["sample_id"].tolist()
    run.decide(ids[EDITED], edit=NEW)
    run.decide(ids[REMOVED], "remove")
    return run


def loaded(path: Path, folder: Path) -> datasets.Dataset:
    """What Hugging Face's reader makes of a file."""
    kind = path.suffix[1:].replace("jsonl", "json")
    return datasets.load_dataset(kind, data_files=str(path), split="train", cache_dir=str(folder / "cache"))


def prepared(rows: datasets.Dataset) -> datasets.Dataset:
    """What TRL's trainer makes of rows before it trains."""
    torch.manual_seed(0)
    tokenizer = chat_tokenizer()
    size = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **size))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = SFTConfig(output_dir="unused", max_length=256, use_cpu=True, bf16=False, report_to=[])
        trainer = SFTTrainer(
            model, config, train_dataset=rows, processing_class=tokenizer, formatting_func=formatting_of(rows[0])
        )
    return trainer.train_dataset


def formatting_of(row: dict[str, Any]) -> Any:
    """The function that TRL asks for where rows are in a form of other trainers; None for its own."""
    if "text" in row or "completion" in row or is_conversational(row) or "conversations" in row:
        return None
    return lambda row: " ".join(str(value) for value in row.values())


@pytest.mark.parametrize("run", FILES, indirect=True, ids="-".join)
def test_trl_prepares_what_was_exported(run: Run, tmp_path: Path) -> None:
    written = run.export("fixed", tmp_path / "out")
    rows = datasets.load_dataset(
        written.suffix[1:].replace("jsonl", "json"),
        data_files=str(written),
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )
    assert len(rows) == N_ROWS - 1
    assert NEW in responses(rows[EDITED]).values()
    tokens = prepared(rows)
    assert len(tokens) == N_ROWS - 1
    assert NEW.split(",")[0] in chat_tokenizer().decode(tokens[EDITED]["input_ids"])


LLAMA_FACTORY = {
    "keys": {"file_name", "formatting", "columns", "tags", "ranking"},
    "columns": {"prompt", "query", "response", "history", "messages", "system", "tools", "chosen", "rejected"},
    "tags": {"role_tag", "content_tag", "user_tag", "assistant_tag", "system_tag"},
}
"""What hiyouga/LLaMA-Factory's data/README.md documents."""


@pytest.mark.parametrize("run", FILES, indirect=True, ids="-".join)
def test_llama_factory_finds_every_column_that_is_named(run: Run, tmp_path: Path) -> None:
    folder = run.export("llama-factory", tmp_path / "out")
    info = json.loads((folder / "dataset_info.json").read_text())["train"]
    rows = [json.loads(line) for line in (folder / info["file_name"]).read_text().splitlines()]
    assert len(rows) == N_ROWS - 1
    assert info.keys() <= LLAMA_FACTORY["keys"]
    assert info["columns"].keys() <= LLAMA_FACTORY["columns"]
    for row in rows:
        assert set(info["columns"].values()) <= row.keys()
    assert NEW in responses(rows[EDITED]).values()
    if info.get("formatting") == "sharegpt":
        tags = info["tags"]
        assert tags.keys() <= LLAMA_FACTORY["tags"]
        roles = {tags["user_tag"], tags["assistant_tag"], tags["system_tag"]}
        for row in rows:
            for turn in row[info["columns"]["messages"]]:
                assert turn[tags["role_tag"]] in roles
                assert isinstance(turn[tags["content_tag"]], str)
    else:
        texts = set(info["columns"].values()) - {None}
        assert all(isinstance(row[name], str) for row in rows for name in texts)


@pytest.mark.parametrize("run", FILES, indirect=True, ids="-".join)
def test_axolotl_is_told_what_its_documentation_asks_for(run: Run, tmp_path: Path) -> None:
    folder = run.export("axolotl", tmp_path / "out")
    (entry,) = yaml.safe_load((folder / "datasets.yaml").read_text())["datasets"]
    row = json.loads((folder / entry["path"]).read_text().splitlines()[EDITED])
    assert entry["ds_type"] == "json"
    if entry["type"] == "chat_template":
        keys = entry["message_property_mappings"]
        assert all({keys["role"], keys["content"]} <= turn.keys() for turn in row[entry["field_messages"]])
        assert entry["roles_to_train"] == ["assistant"]
    elif entry["type"] == "alpaca":
        assert {"instruction", "input", "output"} <= row.keys()
    elif entry["type"] == "completion":
        assert row[entry["field"]] == NEW
    else:
        assert row[entry["type"]["field_output"]] == NEW
        assert isinstance(row[entry["type"]["field_instruction"]], str)
        assert entry["type"]["format"] == "{instruction}"


@pytest.mark.parametrize(
    "run", [("messages", format) for format in ("jsonl", "csv", "parquet")], indirect=True, ids="-".join
)
def test_weights_stand_beside_the_rows_and_the_turns(run: Run, tmp_path: Path) -> None:
    written = run.export("weighted", tmp_path / "out")
    rows = loaded(written, tmp_path)
    assert len(rows) == N_ROWS
    assert (rows[EDITED]["weight"], rows[REMOVED]["weight"]) == (1, 0)
    assert all(0 < row["weight"] < 1 for i, row in enumerate(rows) if i not in (EDITED, REMOVED))
    for i, row in enumerate(rows):
        turns = json.loads(row["messages"]) if isinstance(row["messages"], str) else row["messages"]
        assert [turn.get("weight") for turn in turns] == [None, None, int(i != REMOVED), None, int(i != REMOVED)]
    assert NEW in responses(rows[EDITED]).values()


@pytest.mark.parametrize("run", [("prompt_completion", "jsonl")], indirect=True, ids="-".join)
def test_a_weight_of_the_data_counts_too_and_without_verdicts_it_is_all(run: Run, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in run.export("weighted", tmp_path / "one").read_text().splitlines()]
    assert rows[REMOVED]["weight"] == 0
    run.undo()
    run.undo()
    rows = [json.loads(line) for line in run.export("weighted", tmp_path / "two").read_text().splitlines()]
    assert [row["weight"] for row in rows] == [1.0] * N_ROWS
