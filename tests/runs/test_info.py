"""run.json as a typed record: what is written is read, older records open, damaged and newer ones are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oga_core.errors import OgaError
from oga_core.runs.folder import RunFolder
from oga_core.runs.info import SCHEMA, NoiseRate, RunInfo


def recorded(folder: Path, content: Any) -> RunInfo:
    (folder / "run.json").write_text(json.dumps(content), encoding="utf-8")
    return RunInfo.read(folder / "run.json")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    run.update(status="done", classes=["a", "b"], noise_rate={"rate": 0.1, "low": 0.05, "high": 0.2}, n_samples=3)
    assert run.info.schema == SCHEMA
    assert run.info.classes == ("a", "b")
    assert run.info.noise_rate == NoiseRate(0.1, 0.05, 0.2)
    assert RunInfo.from_json(json.loads(json.dumps(run.info.as_json())), "again") == run.info


def test_what_others_wrote_stays(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    (run.path / "run.json").write_text('{"status": "done", "colour": "red"}', encoding="utf-8")
    run.update(map="pca")
    assert json.loads((run.path / "run.json").read_text(encoding="utf-8"))["colour"] == "red"


@pytest.mark.parametrize(
    ("noise_rate", "expected"),
    [
        ({"estimate": 0.2, "low": 0.1, "high": 0.3}, NoiseRate(0.2, 0.1, 0.3)),
        ({"estimate": 0.2}, NoiseRate(0.2, 0.2, 0.2)),
        (0.2, NoiseRate(0.2, 0.2, 0.2)),
        (None, None),
    ],
)
def test_records_without_a_version_open(tmp_path: Path, noise_rate: Any, expected: NoiseRate | None) -> None:
    info = recorded(tmp_path, {"status": "done", "classes": ["a"], "noise_rate": noise_rate})
    assert info.noise_rate == expected
    assert info.status == "done"


def test_a_newer_record_says_so(tmp_path: Path) -> None:
    with pytest.raises(OgaError, match=f"written by a newer version of oga .record {SCHEMA + 1}"):
        recorded(tmp_path, {"schema": SCHEMA + 1})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "holds a list, not the record of a run"),
        ({"schema": True}, "'schema' is true or false, where a whole number above 0 belongs"),
        ({"classes": "ab"}, "'classes' is text, where a list belongs"),
        ({"classes": [1]}, "'classes' is the number 1, where text belongs"),
        ({"n_samples": "3"}, "'n_samples' is text, where a whole number belongs"),
        ({"n_samples": True}, "'n_samples' is true or false, where a whole number belongs"),
        ({"data": []}, "'data' is a list, where an object belongs"),
        ({"data": {"path": 3}}, "'path' is the number 3, where text belongs"),
        ({"status": None}, "'status' is nothing, where text belongs"),
        ({"noise_rate": {"low": 0.1}}, "'noise_rate' is an object, where an object with all its parts belongs"),
        ({"suggested_trim_fraction": "much"}, "'suggested_trim_fraction' is text, where a number belongs"),
    ],
)
def test_damaged_records_name_what_is_wrong(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(OgaError, match=message.replace(".", r"\.")):
        recorded(tmp_path, content)


def test_a_cut_record_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(b'{"status": "do')
    with pytest.raises(OgaError, match=r"is damaged: .*Score the data again into a new folder"):
        RunInfo.read(tmp_path / "run.json")
