"""Preference pairs out again: as they came in with answers exchanged, and as the trainers of pairs read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from export_runs import make_run
from language_rows import write_rows
from pairs import FORMS, N_PAIRS

from oga_core.api import open_run
from oga_core.notebook.run import Run
from oga_core.readers import read_samples
from oga_core.readers.answers.preferences import preference
from oga_core.readers.answers.responses import responses

SWAPPED, REMOVED, EDITED = 1, 3, 4
NEW = 'better, "yes"'


def decided(folder: Path, form: str, format: str) -> Run:
    run = open_run(make_run(folder / "run", write_rows(folder, FORMS[form], format)).path)
    run.decide(str(SWAPPED), "swap")
    run.decide(str(REMOVED), "remove")
    run.decide(str(EDITED), edit=NEW)
    return run


@pytest.mark.parametrize("format", ["jsonl", "json", "parquet", "csv"])
@pytest.mark.parametrize("form", FORMS)
def test_answers_are_exchanged_in_the_form_they_came_in(form: str, format: str, tmp_path: Path) -> None:
    run = decided(tmp_path, form, format)
    assert run.info.modality == "preference"
    before = [dict(row) for row in run.samples.rows]
    after = [dict(row) for row in read_samples(run.export("fixed", tmp_path / "out")).rows]
    names = ("preferred_output", "non_preferred_output") if form == "openai" else ("chosen", "rejected")
    exchanged: dict[str, Any] = {names[0]: before[SWAPPED][names[1]], names[1]: before[SWAPPED][names[0]]}
    assert after[SWAPPED] == {**before[SWAPPED], **exchanged}
    assert len(after) == N_PAIRS - 1
    assert [after[i] for i in (0, 2, 4)] == [before[i] for i in (0, 2, 5)]
    last = list(responses(after[EDITED - 1]).values())[-1]
    assert last == NEW
    assert run.decisions.set_index("sample_id")["action"].to_dict() == {"1": "swap", "3": "remove", "4": "edit"}


@pytest.mark.parametrize("form", FORMS)
def test_trainers_of_pairs_are_told_what_they_document(form: str, tmp_path: Path) -> None:
    run = decided(tmp_path, form, "jsonl")
    folder = run.export("llama-factory", tmp_path / "llama")
    info = json.loads((folder / "dataset_info.json").read_text())["train"]
    rows = [json.loads(line) for line in (folder / info["file_name"]).read_text().splitlines()]
    assert info["ranking"] is True
    assert {"chosen", "rejected"} < info["columns"].keys()
    assert all(set(info["columns"].values()) <= row.keys() for row in rows)
    swapped = preference(FORMS[form][SWAPPED])
    if info.get("formatting") == "sharegpt":
        assert rows[SWAPPED]["chosen"] == swapped["rejected"][0]
        assert rows[SWAPPED]["chosen"][info["tags"]["role_tag"]] == info["tags"]["assistant_tag"]
    else:
        assert rows[SWAPPED]["chosen"] == swapped["rejected"]

    config = yaml.safe_load((run.export("axolotl", tmp_path / "axolotl") / "datasets.yaml").read_text())
    (entry,) = config["datasets"]
    assert config["rl"] == "dpo"
    if entry["type"] == "chat_template.default":
        assert {entry["field_messages"], entry["field_chosen"], entry["field_rejected"]} <= rows[0].keys()
        assert entry["roles"]["assistant"] == ["assistant"]
    else:
        fields = entry["type"]
        assert {fields["field_prompt"], fields["field_chosen"], fields["field_rejected"]} <= rows[0].keys()
        assert fields["chosen_format"] == "{chosen}"


def test_a_weight_stands_beside_a_pair(tmp_path: Path) -> None:
    run = decided(tmp_path, "texts", "jsonl")
    rows = [json.loads(line) for line in run.export("weighted", tmp_path / "out").read_text().splitlines()]
    assert [rows[i]["weight"] for i in (SWAPPED, REMOVED, EDITED)] == [1, 0, 1]
    assert rows[SWAPPED]["chosen"] == FORMS["texts"][SWAPPED]["rejected"]
