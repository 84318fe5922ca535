"""Edited responses: the rows come out in the format they came in, with the new texts and without what was removed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from export_runs import make_run
from language_rows import FORMATS, N_ROWS, SHAPES, write_rows

from oga_core.api import open_run
from oga_core.errors import OgaError
from oga_core.exports.rows import replace_at
from oga_core.notebook.run import Run
from oga_core.readers import read_samples
from oga_core.readers.answers.responses import responses
from oga_core.readers.tables.pointers import keys_of, replaced

EDITED, REMOVED = 3, 5
NEW = 'a better answer,\nwith "quotes", \\ and مرحبا 🙂'


def scored(folder: Path, data: Path) -> Run:
    return open_run(make_run(folder / "run", data, modality="causal_lm").path)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("shape", SHAPES)
def test_rows_come_out_as_they_came_in_with_the_edit_and_without_the_removed(
    shape: str, format: str, tmp_path: Path
) -> None:
    rows, place = SHAPES[shape]
    data = write_rows(tmp_path, rows, format)
    run = scored(tmp_path, data)
    before = [dict(row) for row in run.samples.rows]
    ids = run.table["sample_id"].tolist()
    run.decide(ids[EDITED], edit=NEW)
    run.decide(ids[REMOVED], "remove")

    written = run.export("fixed", tmp_path / "out")

    after = [dict(row) for row in read_samples(written, modality="causal_lm").rows]
    expected = [replaced(row, keys_of(place), NEW) if i == EDITED else row for i, row in enumerate(before)]
    del expected[REMOVED]
    assert after == expected
    assert responses(after[EDITED])[place] == NEW


def test_every_other_byte_of_json_lines_stays(tmp_path: Path) -> None:
    rows, _ = SHAPES["messages"]
    data = write_rows(tmp_path, rows, "jsonl")
    lines = [line.replace(": ", " :  ") for line in data.read_text(encoding="utf-8").splitlines()]
    data.write_text("\n".join(lines), encoding="utf-8")
    run = scored(tmp_path, data)
    run.decide(f"r{EDITED}", edit=NEW)
    written = run.export("fixed", tmp_path / "out").read_text(encoding="utf-8").splitlines()
    assert [i for i in range(N_ROWS) if written[i] != lines[i]] == [EDITED]
    old = json.dumps(f"Twice that is {2 * EDITED}.")
    assert written[EDITED] == lines[EDITED].replace(old, json.dumps(NEW, ensure_ascii=False))


def test_other_exports_hold_the_new_text(tmp_path: Path) -> None:
    run = scored(tmp_path, write_rows(tmp_path, SHAPES["alpaca"][0], "jsonl"))
    run.decide(str(EDITED), edit=NEW)
    table = [json.loads(line) for line in run.export("jsonl", tmp_path / "table").read_text().splitlines()]
    assert (table[EDITED]["action"], table[EDITED]["corrected_text"]) == ("edit", NEW)
    assert table[EDITED]["output"] == SHAPES["alpaca"][0][EDITED]["output"]
    assert table[EDITED]["is_label_issue"]
    assert table[REMOVED]["corrected_text"] is None
    lines = (run.export("huggingface", tmp_path / "hub") / "train.jsonl").read_text().splitlines()
    assert json.loads(lines[EDITED])["output"] == NEW


def test_an_edit_is_undone_and_stands_in_the_history(tmp_path: Path) -> None:
    run = scored(tmp_path, write_rows(tmp_path, SHAPES["messages"][0], "jsonl"))
    run.decide("r1", edit={"/messages/2/content": "first"})
    run.decide("r1", edit={"/messages/2/content": "second", "/messages/4/content": "third"})
    assert dict(run.decisions["edit"][0]) == {"/messages/2/content": "second", "/messages/4/content": "third"}
    run.undo()
    assert run.decisions["edit"][0] == (("/messages/2/content", "first"),)
    run.undo()
    assert run.decisions.empty


def test_an_edit_says_what_it_cannot_change(tmp_path: Path) -> None:
    run = scored(tmp_path, write_rows(tmp_path, SHAPES["messages"][0], "jsonl"))
    with pytest.raises(OgaError, match=r"'/messages/1/content'.*/messages/2/content"):
        run.decide("r1", edit={"/messages/1/content": "a question"})
    with pytest.raises(OgaError, match="already as the edit has it"):
        run.decide("r1", edit="Twice that is 2.")
    with pytest.raises(OgaError, match=r"relabel.*keep, edit, remove, unsure"):
        run.decide("r1", relabel="cat")
    with pytest.raises(OgaError, match="one of the actions keep, edit"):
        run.decide("r1", "remove", edit="x")


def test_a_raw_value_is_replaced_where_it_stands() -> None:
    raw = '{"a" : [1, {"b": "x"} , []], "c": "[{\\"d\\": 1}]"}'
    assert replace_at(raw, ["a", "1", "b"], "y") == raw.replace('"x"', '"y"')
    assert json.loads(replace_at(raw, ["c", "0", "d"], 2))["c"] == '[{"d": 2}]'
    with pytest.raises(LookupError):
        replace_at(raw, ["a", "3"], 0)
