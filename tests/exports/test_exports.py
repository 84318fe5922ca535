"""Exports: what was decided is in them, what was not decided stays as it was, other tools accept them."""

from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from export_runs import RELABELLED, REMOVED, decide, make_run
from export_runs import export_here as export
from reader_sets import CASES, Case, encoded, picture, write_zip

from oga_core.errors import OgaError
from oga_core.exports import EXPORTS, REPORT
from oga_core.exports.table import OUR_COLUMNS
from oga_core.readers import read_samples
from oga_core.review import Decision, ReviewStore
from oga_core.runs.folder import RunFolder
from oga_core.samples import SampleSet


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    (tmp_path / "data").mkdir()
    return CASES[request.param](tmp_path / "data")


@pytest.fixture
def decided_run(case: Case, tmp_path: Path) -> RunFolder:
    run = make_run(tmp_path / "run", case.path, **case.options)
    decide(run, run.samples, new_label_of(case))
    return run


def new_label_of(case: Case) -> str | None:
    return {"cat": "dog", "dog": "NA", "NA": "cat"}[case.labels[RELABELLED]] if case.labels else None


def read_back(written: Path, case: Case) -> SampleSet:
    """Read the fixed data as the original was: the labels beside it may be what was written."""
    labels = case.options.get("labels")
    if labels is None:
        return read_samples(written)
    if written.is_dir():
        return read_samples(written / case.path.name, labels=written / labels.name)
    return read_samples(case.path, labels=written)


def content_of(value: object) -> object:
    return value.tobytes() if hasattr(value, "tobytes") else repr(value)


def test_the_fixed_data_set_is_the_old_one_with_the_decisions(
    case: Case, decided_run: RunFolder, tmp_path: Path
) -> None:
    before, after = decided_run.samples, read_back(export(decided_run, "fixed", tmp_path / "fixed"), case)
    assert after.modality == before.modality
    assert after.source.format == before.source.format
    assert len(after) == len(before) - 1
    labels = {i: before.class_names[label] if case.labels else None for i, label in enumerate(before.given_labels)}
    labels[RELABELLED] = new_label_of(case)
    old = {(content_of(before.inputs[i]), labels[i]) for i in range(len(before)) if i != REMOVED}
    new = {
        (content_of(after.inputs[i]), after.class_names[label] if case.labels else None)
        for i, label in enumerate(after.given_labels)
    }
    assert new == old
    if case.ids[0] != "0" and case.format != "image_folder":
        assert after.ids.tolist() == [sample_id for i, sample_id in enumerate(before.ids) if i != REMOVED]


def test_the_table_has_every_sample_with_score_and_decision(case: Case, decided_run: RunFolder, tmp_path: Path) -> None:
    frame = pd.read_csv(export(decided_run, "csv", tmp_path / "out"), dtype=str, keep_default_na=False)
    assert frame["sample_id"].tolist() == case.ids
    assert frame["action"].tolist()[:6] == ["", "relabel" if case.labels else "", "exclude", "", "keep", "needs_review"]
    assert frame["corrected_label"][RELABELLED] == (new_label_of(case) or "")
    assert frame["oga_rank"].tolist() == [str(i) for i in range(len(frame), 0, -1)]
    issues = [i for i in range(24) if frame["is_label_issue"][i] == "True"]
    assert issues == ([RELABELLED] if case.labels else []) + [REMOVED, *range(18, 24)]
    parquet = pq.read_table(export(decided_run, "parquet", tmp_path / "out.parquet"))
    assert parquet["sample_id"].to_pylist() == case.ids
    assert set(OUR_COLUMNS) <= set(parquet.column_names)
    lines = export(decided_run, "jsonl", tmp_path / "out").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["sample_id"] for row in rows] == case.ids
    assert 0 == rows[-1]["label_score"] < rows[0]["label_score"] == 1


@pytest.mark.parametrize("format", [name for name in EXPORTS if name not in ("csv", "parquet", "jsonl", "fixed")])
def test_folders_for_other_tools_hold_every_sample_or_say_no(
    format: str, case: Case, decided_run: RunFolder, tmp_path: Path
) -> None:
    is_language = case.modality == "causal_lm"
    allowed = {
        "huggingface": case.modality != "outputs",
        "fiftyone": case.modality == "image",
        **dict.fromkeys(("weighted", "llama-factory", "axolotl"), is_language),
    }
    if not allowed.get(format, case.modality in ("image", "text")):
        with pytest.raises(OgaError, match="Export csv instead"):
            export(decided_run, format, tmp_path / "out")
        assert not (tmp_path / "out").exists()
        return
    out = export(decided_run, format, tmp_path / "out")
    images = [file for file in out.rglob("*.*") if file.suffix in (".png", ".jpg")]
    n_expected = 24 if format == "label-studio" else 23
    assert len(images) == (n_expected if case.modality == "image" else 0)
    if format == "fiftyone":
        labels = json.loads((out / "labels.json").read_text())
        assert set(labels["labels"]) == {image.stem for image in images}
        assert labels["classes"][labels["labels"][images_by_place(images)[RELABELLED].stem]] == new_label_of(case)
    elif format == "label-studio":
        tasks = json.loads((out / "tasks.json").read_text())
        assert [task["data"]["sample_id"] for task in tasks] == case.ids
        assert tasks[RELABELLED]["annotations"][0]["result"][0]["value"]["choices"] == [new_label_of(case)]
        assert "annotations" not in tasks[0]
        assert all(f'<Choice value="{name}"/>' in (out / "config.xml").read_text() for name in ("cat", "dog", "NA"))


def images_by_place(images: list[Path]) -> dict[int, Path]:
    return {int(image.name.split("_")[0]): image for image in images}


def test_an_image_that_moves_never_overwrites_another(tmp_path: Path) -> None:
    members: dict[str, bytes | str] = {f"{c}/same.png": encoded(picture(i)) for i, c in enumerate(("cat", "dog"))}
    run = make_run(tmp_path / "run", write_zip(tmp_path / "a.zip", members))
    ReviewStore(run.review).decide(Decision("cat/same.png", "relabel", "dog"))
    after = read_samples(export(run, "fixed", tmp_path / "out"))
    assert after.ids.tolist() == ["dog/same_from_cat.png", "dog/same.png"]


def test_unreadable_rows_and_rows_that_were_not_scored_stay(tmp_path: Path) -> None:
    rows = [f"{i},t{i},a\n" for i in range(60)]
    rows[30] = "30,too,many,fields\n"
    (tmp_path / "a.csv").write_text("id,text,label\n" + "".join(rows))
    run = make_run(tmp_path / "run", tmp_path / "a.csv", max_samples=5)
    ReviewStore(run.review).decide(Decision(run.samples.ids[1], "remove"))
    written = export(run, "fixed", tmp_path / "out").read_text()
    assert written == "id,text,label\n" + "".join(row for i, row in enumerate(rows) if str(i) != run.samples.ids[1])


def test_only_a_spreadsheet_safe_csv_has_quotes_before_formulas(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n=1+1,a\n-2,a\nplain,b\n")
    run = make_run(tmp_path / "run", tmp_path / "a.csv")
    for safe, expected in ((False, ["=1+1", "-2", "plain"]), (True, ["'=1+1", "'-2", "plain"])):
        with export(run, "csv", tmp_path / f"{safe}.csv", spreadsheet_safe=safe).open(newline="") as file:
            assert [row["text"] for row in csv.DictReader(file)] == expected


def test_an_original_column_with_our_name_is_kept_beside_ours(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label,action\nx,a,jump\ny,b,run\n")
    run = make_run(tmp_path / "run", tmp_path / "a.csv")
    ReviewStore(run.review).decide(Decision("0", "keep"))
    frame = pd.read_csv(export(run, "csv", tmp_path / "out"), keep_default_na=False)
    assert frame["original_action"].tolist() == ["jump", "run"]
    assert frame["action"].tolist() == ["keep", ""]


@pytest.mark.parametrize("format", ["csv", "parquet", "jsonl"])
def test_no_two_columns_get_one_name(format: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label,sample_id,original_sample_id\nx,a,1,5\ny,b,2,6\n")
    run = make_run(tmp_path / "run", tmp_path / "a.csv")
    path = export(run, format, tmp_path / "out")
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet, "jsonl": partial(pd.read_json, lines=True)}[format]
    frame = read(path)
    assert len(set(frame.columns)) == len(frame.columns)
    assert frame["original_sample_id"].astype(int).tolist() == [5, 6]
    assert frame["original_original_sample_id"].astype(int).tolist() == [1, 2]


@pytest.mark.parametrize("format", [*(name for name, each in EXPORTS.items() if "image" in each.modalities), REPORT])
def test_a_place_may_be_a_text(format: str, tmp_path: Path) -> None:
    members: dict[str, bytes | str] = {f"{c}/{i}.png": encoded(picture(i)) for i, c in enumerate(("a", "b"))}
    run = make_run(tmp_path / "run", write_zip(tmp_path / "a.zip", members))
    assert export(run, format, str(tmp_path / "out")).exists()


def test_unknown_formats_and_places_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\nx,a\n")
    run = make_run(tmp_path / "run", tmp_path / "a.csv")
    with pytest.raises(OgaError, match=r"Unknown export format 'xlsx'\. Choose one of: csv, parquet, jsonl, fixed"):
        export(run, "xlsx", tmp_path / "out")
    with pytest.raises(OgaError, match="There is no folder"):
        export(run, "csv", tmp_path / "nowhere" / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(OgaError, match="exists already"):
        export(run, "huggingface", tmp_path / "full")


def test_labels_of_the_same_name_are_written_beside_the_data(tmp_path: Path) -> None:
    for folder, array in (("data", np.arange(8.0).reshape(4, 2)), ("labels", np.array([0, 1, 0, 1]))):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "a.npy", array)
    run = make_run(tmp_path / "run", tmp_path / "data" / "a.npy", labels=tmp_path / "labels" / "a.npy")
    ReviewStore(run.review).decide(Decision("0", "remove"))
    out = export(run, "fixed", tmp_path / "out")
    assert np.load(out / "a.npy").tolist() == [[2, 3], [4, 5], [6, 7]]
    assert np.load(out / "labels_a.npy").tolist() == [1, 0, 1]


def test_the_scored_data_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\nx,a\n")
    run = make_run(tmp_path / "run", tmp_path / "a.csv")
    with pytest.raises(OgaError, match="is the data that was scored"):
        export(run, "fixed", tmp_path / "a.csv")
