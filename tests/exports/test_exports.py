"""Exports: what was decided is in them, what was not decided stays as it was, other tools accept them."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from reader_sets import CASES, Case, csv_text, encoded, picture, text_rows, write_zip

from oga_core.errors import OgaError
from oga_core.exports import EXPORTS, export
from oga_core.exports.rows import replace_field, replace_value
from oga_core.exports.table import OUR_COLUMNS
from oga_core.readers import read_samples
from oga_core.review import Decision, ReviewStore
from oga_core.runs.folder import RunFolder
from oga_core.samples import SampleSet

RELABELLED, REMOVED, KEPT, UNSURE = 1, 2, 4, 5


def make_run(folder: Path, path: Path, classes: list[str] | None = None, **options: Any) -> RunFolder:
    """A run folder as the pipeline leaves it, the last samples the most suspicious."""
    samples = read_samples(path, **options)
    names = classes or list(samples.class_names)
    numbered = samples.with_classes(names)
    run = RunFolder.create(folder)
    given = [names[label] if label >= 0 else "" for label in numbered.given_labels]
    predicted = [names[(label + 1) % len(names)] if label >= 0 else "" for label in numbered.given_labels]
    n_samples = len(samples)
    run.write_table(
        pd.DataFrame(
            {
                "sample_id": samples.ids,
                "given_label": given,
                "predicted_label": predicted,
                "given_label_probability": np.linspace(0.9, 0.1, n_samples),
                "score_loss": np.arange(n_samples, dtype=np.float64),
            }
        )
    )
    run.update(
        data={
            "path": str(path),
            "options": {key: str(value) if isinstance(value, Path) else value for key, value in options.items()},
            "fingerprint": samples.fingerprint,
        },
        classes=names if samples.class_names else [],
        default_score="loss",
        suggested_trim_fraction=0.25,
        modality=samples.modality,
    )
    return run


def decide(run: RunFolder, samples: SampleSet, new_label: str | None) -> None:
    """One decision of every kind; without labels nothing is relabelled."""
    store = ReviewStore(run.review)
    if new_label is not None:
        store.decide(Decision(samples.ids[RELABELLED], "relabel", new_label, reviewer="Zoë"))
    store.decide(Decision(samples.ids[REMOVED], "remove"))
    store.decide(Decision(samples.ids[KEPT], "keep"))
    store.decide(Decision(samples.ids[UNSURE], "unsure"))


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


@pytest.mark.parametrize(
    "format", [name for name in EXPORTS if name not in ("csv", "parquet", "jsonl", "fixed", "report")]
)
def test_folders_for_other_tools_hold_every_sample_or_say_no(
    format: str, case: Case, decided_run: RunFolder, tmp_path: Path
) -> None:
    allowed = {"huggingface": case.modality != "outputs", "fiftyone": case.modality == "image"}
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


def test_untouched_bytes_of_a_csv_stay(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + csv_text().replace('"line 7', '"line  7').encode() + b"\r\n"
    (tmp_path / "a.csv").write_bytes(content)
    run = make_run(tmp_path / "run", tmp_path / "a.csv")
    decide(run, run.samples, 'new, "label"')
    written = export(run, "fixed", tmp_path / "out").read_bytes()
    rows = csv_text().encode()
    removed = rows[rows.index(b"002,") : rows.index(b"003,")]
    expected = content.replace(removed, b"").replace(b' = 1",dog\r\n', b' = 1","new, ""label"""\r\n')
    assert written == expected
    store = ReviewStore(run.review)
    store.undo("Zoë")
    store.undo("me")
    store.undo("me")
    store.undo("me")
    assert export(run, "fixed", tmp_path / "same.csv").read_bytes() == content


def test_untouched_bytes_of_json_stay(tmp_path: Path) -> None:
    lines = [json.dumps(row, ensure_ascii=i % 2 == 0, separators=(" ,", ": ")) for i, row in enumerate(text_rows())]
    lines[RELABELLED] = '{"a": 1.50e0 , "label" :"dog", "text": "label \\u00e9", "id": "001", "z":{"label": [1]}}'
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    run = make_run(tmp_path / "run", tmp_path / "a.jsonl")
    decide(run, run.samples, "été")
    lines[RELABELLED] = lines[RELABELLED].replace('"label" :"dog"', '"label" :"été"')
    del lines[REMOVED]
    assert export(run, "fixed", tmp_path / "out").read_text(encoding="utf-8") == "\n".join(lines)


@pytest.mark.parametrize("removed", [{0}, {23}, {0, 1, 23}, {22, 23}, set(range(23))])
def test_rows_leave_a_json_array_whole(tmp_path: Path, removed: set[int]) -> None:
    (tmp_path / "a.json").write_text("\ufeff" + json.dumps(text_rows(), ensure_ascii=False, indent=2), encoding="utf-8")
    run = make_run(tmp_path / "run", tmp_path / "a.json")
    ReviewStore(run.review).decide([Decision(run.samples.ids[i], "remove") for i in removed])
    written = json.loads(export(run, "fixed", tmp_path / "out").read_text(encoding="utf-8-sig"))
    assert written == [row for i, row in enumerate(text_rows()) if i not in removed]


@pytest.mark.parametrize(
    ("record", "position", "value", "expected"),
    [
        ("a,b,c\r\n", 1, "x", "a,x,c\r\n"),
        ('"a,""1""",b\n', 1, "x", '"a,""1""",x\n'),
        ('a,"b"', 1, "x", 'a,"x"'),
        ("a,b", 1, 'x"y', 'a,"x""y"'),
        ('"a\n,b",,c\n', 1, "x", '"a\n,b",x,c\n'),
    ],
)
def test_a_field_is_replaced_where_it_stands(record: str, position: int, value: str, expected: str) -> None:
    assert replace_field(record, ",", position, value) == expected


def test_numbers_stay_numbers_in_json() -> None:
    assert replace_value('{"x": {"y": 1}, "y": 1}', "y", "3") == '{"x": {"y": 1}, "y": 3}'
    assert replace_value('{"y": "1"}', "y", "3") == '{"y": "3"}'


def test_labels_go_back_in_the_words_of_the_data(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"t{i},{i % 2}\n" for i in range(10)))
    run = make_run(tmp_path / "run", tmp_path / "a.csv", classes=["negative", "positive", "neutral"])
    store = ReviewStore(run.review)
    store.decide(Decision("1", "relabel", "negative"))
    store.decide(Decision("2", "relabel", "neutral"))
    after = read_samples(export(run, "fixed", tmp_path / "out"))
    assert [after.class_names[label] for label in after.given_labels[:4]] == ["0", "0", "2", "1"]


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


def test_the_scored_data_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\nx,a\n")
    run = make_run(tmp_path / "run", tmp_path / "a.csv")
    with pytest.raises(OgaError, match="is the data that was scored"):
        export(run, "fixed", tmp_path / "a.csv")


def test_a_folder_becomes_a_zip_where_the_name_says_so(tmp_path: Path) -> None:
    members: dict[str, bytes | str] = {f"{c}/{i}.png": encoded(picture(i)) for i, c in enumerate(("a", "b"))}
    run = make_run(tmp_path / "run", write_zip(tmp_path / "a.zip", members))
    with zipfile.ZipFile(export(run, "fiftyone", tmp_path / "out.zip")) as archive:
        assert sorted(archive.namelist()) == ["data/0000000_0.png", "data/0000001_1.png", "labels.json"]


def test_cleanlab_takes_our_table(tmp_path: Path) -> None:
    classification = pytest.importorskip("cleanlab.classification", reason="cleanlab is not installed")
    from sklearn.linear_model import LogisticRegression

    features = np.random.default_rng(0).normal(size=(60, 3))
    labels = (features[:, 0] > 0).astype(int)
    pd.DataFrame(features, columns=["a", "b", "c"]).assign(label=labels).to_csv(tmp_path / "a.csv", index=False)
    run = make_run(tmp_path / "run", tmp_path / "a.csv")
    ReviewStore(run.review).decide(Decision("0", "remove"))
    for name in ("csv", "parquet"):
        path = export(run, name, tmp_path / "out")
        frame = pd.read_csv(path) if name == "csv" else pd.read_parquet(path)
        frame["given_label"] = frame["given_label"].astype(int)
        frame["predicted_label"] = frame["predicted_label"].astype(int)
        cleaner = classification.CleanLearning(LogisticRegression())
        cleaner.fit(features, labels, label_issues=frame)
        assert cleaner.get_label_issues()["is_label_issue"].sum() == 16


def test_hugging_face_loads_images_with_the_decided_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    datasets = pytest.importorskip("datasets", reason="Hugging Face datasets is not installed")
    members: dict[str, bytes | str] = {
        f"{c}/{i}.png": encoded(picture(i)) for i, c in enumerate(("NA", "b", "NA", "b"))
    }
    run = make_run(tmp_path / "run", write_zip(tmp_path / "a.zip", members))
    ReviewStore(run.review).decide([Decision("NA/0.png", "relabel", "b"), Decision("b/3.png", "remove")])
    out = export(run, "huggingface", tmp_path / "out")
    loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))["train"]
    assert dict(zip(loaded["id"], loaded["label"], strict=True)) == {"NA/0.png": "b", "b/1.png": "b", "NA/2.png": "NA"}


def test_label_studio_takes_the_predictions(tmp_path: Path) -> None:
    interface = pytest.importorskip("label_studio_sdk.label_interface", reason="label-studio-sdk is not installed")
    (tmp_path / "a.csv").write_text('text,label\nx,"<a> & ""b"""\ny,plain\n')
    out = export(make_run(tmp_path / "run", tmp_path / "a.csv"), "label-studio", tmp_path / "out")
    config = interface.LabelInterface((out / "config.xml").read_text())
    for task in json.loads((out / "tasks.json").read_text()):
        assert config.validate_prediction(task["predictions"][0])
