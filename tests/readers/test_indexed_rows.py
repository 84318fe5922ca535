"""Rows whose places are known are shown as they are read, and without reading those before them."""

import json

import numpy as np
import pytest

from oga_core.errors import OgaError
from oga_core.pipeline import record
from oga_core.previews.drawing import found, preview
from oga_core.readers import read_samples
from oga_core.readers.tables.delimited import DelimitedTable
from oga_core.readers.tables.indexed import SeenRows, places, seen_rows
from oga_core.readers.tables.json_rows import JsonLinesTable
from oga_core.runs.folder import PLACES, RunFolder
from oga_core.samples import SampleSet

TEXTS = ['a "quoted" text', "two\nlines", "größer, 猫", "", "plain"]


def written(path):
    """A table of texts with labels, two of the rows without one."""
    rows = [{"id": f"r{i}", "text": f"{TEXTS[i % 5]} {i}", "label": "" if i in (3, 40) else "cat"} for i in range(60)]
    rows[7]["label"] = "dog"
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    else:
        quoted = ([f'"{value.replace(chr(34), chr(34) * 2)}"' for value in row.values()] for row in rows)
        path.write_text("id,text,label\n" + "".join(",".join(row) + "\n" for row in quoted), encoding="utf-8")
    return path


@pytest.fixture(params=["rows.csv", "rows.jsonl"])
def data(request, tmp_path, monkeypatch):
    monkeypatch.setattr(record, "_MANY_ROWS", 10)
    return written(tmp_path / request.param)


@pytest.fixture
def run(data, tmp_path):
    """A run of all but every third sample, as a pass leaves it."""
    samples = read_samples(data)
    scored = samples.take(np.flatnonzero(np.arange(len(samples)) % 3))
    folder = RunFolder.create(tmp_path / "run")
    record.write_samples(scored, folder.path, samples)
    given = {"path": str(data), "options": {}, "fingerprint": samples.fingerprint}
    folder.update(n_samples=len(scored), modality="text", target="class", data=given, classes=["cat", "dog"])
    folder.write_columns({"sample_id": scored.ids, "score_loss": np.zeros(len(scored))})
    return folder


def refuse(*_):
    raise AssertionError("the table was read")


def test_the_rows_of_a_run_are_shown_without_reading_its_table(run, monkeypatch):
    expected = run.samples
    shown = [preview(expected, row, 100) for row in range(len(expected))]
    places_of_cats = found(expected, range(len(expected)), "猫 ")
    for table in (DelimitedTable, JsonLinesTable):
        monkeypatch.setattr(table, "scan", refuse)
    seen = RunFolder(run.path).seen
    assert isinstance(seen, SeenRows)
    assert [preview(seen, row, 100) for row in range(len(seen))] == shown
    assert [seen.rows[row] for row in range(len(seen))] == [expected.rows[row] for row in range(len(expected))]
    assert found(seen, range(len(seen)), "猫 ") == places_of_cats != []
    assert seen.source.columns == expected.source.columns


def test_a_table_that_has_changed_is_refused(run, data):
    data.write_bytes(data.read_bytes().replace(b"plain", b"other"))
    with pytest.raises(OgaError, match="has changed since it was scored"):
        _ = run.seen


@pytest.mark.parametrize("content", [b"", b"no array", None])
def test_without_good_places_the_samples_are_read(run, content):
    (run.path / PLACES).unlink() if content is None else (run.path / PLACES).write_bytes(content)
    assert isinstance(run.seen, SampleSet)


def test_places_of_another_run_are_not_believed(run):
    np.save(run.path / PLACES, np.load(run.path / PLACES)[:-1])
    assert isinstance(run.seen, SampleSet)


def test_rows_with_labels_beside_them_have_no_places(tmp_path):
    data = written(tmp_path / "rows.csv")
    (tmp_path / "labels.csv").write_text("id,label\n" + "".join(f"r{i},cat\n" for i in range(60)))
    samples = read_samples(data, labels=tmp_path / "labels.csv")
    assert places(samples) is None
    assert seen_rows(data, np.zeros((1, 2), np.int64), {"labels": tmp_path / "labels.csv"}) is None


@pytest.mark.parametrize(
    "text", ["two", "QUOTED", 'a "q', "gr\u00f6\u00dfer", "k", "\u212a", "s", "lines 1", "r1", "1,", "\n", "", "none"]
)
def test_a_search_by_bytes_finds_what_a_search_by_values_does(tmp_path, text):
    data = written(tmp_path / "rows.csv")
    with data.open("a", encoding="utf-8") as file:
        file.write("kelvin,300 \u212a,cat\nlong,Wa\u017f,dog\n")
    whole = read_samples(data)
    seen = seen_rows(data, places(whole), {})
    by_values = [
        row
        for row in range(len(whole))
        if any(text.casefold() in value.casefold() for value in whole.rows[row].values())
    ]
    assert [row for part in (range(0, 31), range(31, len(seen))) for row in found(seen, part, text)] == by_values


def test_ids_and_labels_of_outputs_are_shown_without_reading_them(tmp_path, monkeypatch):
    data = tmp_path / "outputs.npz"
    np.savez(
        data, logits=np.eye(3, dtype=np.float32).repeat(4, axis=0), labels=np.arange(12) % 3, ids=np.arange(12) + 7
    )
    samples = read_samples(data)
    run = RunFolder.create(tmp_path / "run")
    given = {"path": str(data), "options": {}, "fingerprint": samples.fingerprint}
    run.update(status="done", n_samples=12, modality="outputs", target="class", data=given, classes=["0", "1", "2"])
    labels = np.array(samples.class_names)[samples.given_labels]
    run.write_columns({"sample_id": samples.ids, "given_label": labels, "score_loss": np.zeros(12)})
    shown = [preview(run.samples, row, 100) for row in range(12)]
    monkeypatch.setattr("oga_core.readers.outputs.read_outputs", refuse)
    seen = RunFolder(run.path).seen
    assert [preview(seen, row, 100) for row in range(12)] == shown
    assert found(seen, range(12), "18") == [11]
    np.savez(data, logits=np.zeros((12, 3), np.float32), labels=np.arange(12) % 3)
    monkeypatch.undo()
    with pytest.raises(OgaError, match="has changed since it was scored"):
        _ = RunFolder(run.path).seen
