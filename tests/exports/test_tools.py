"""Exports for other tools: they accept them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from export_runs import export_here as export
from export_runs import make_run
from reader_sets import encoded, picture, write_zip

from oga_core.review import Decision, ReviewStore


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
