"""`oga demo`: the first command of the README scores what is there, once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from here import without_workers

from oga_app import demo
from oga_app.background.samples import SAMPLE_DATA, SAMPLES
from oga_app.demo import default_folder, improve_maps, prepare_demo
from oga_core.errors import OgaError
from oga_core.runs.folder import RunFolder

TUMOURS = next(sample for sample in SAMPLES if sample.data == "tumours.csv")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo of the smallest of the samples."""
    with pytest.MonkeyPatch.context() as patch, without_workers():
        patch.setattr(demo, "SAMPLES", (TUMOURS,))
        return prepare_demo(tmp_path_factory.mktemp("demo") / "new", EVENTS.append)


EVENTS: list[dict[str, Any]] = []


def test_every_sample_comes_with_the_package() -> None:
    for sample in SAMPLES:
        assert (SAMPLE_DATA / sample.data).is_file()
        assert (SAMPLE_DATA / sample.model).exists()
    assert len({sample.name for sample in SAMPLES}) == len(SAMPLES) == 3


def test_a_sample_is_scored_into_a_run_of_its_name(folder: Path) -> None:
    run = RunFolder.open(folder / TUMOURS.name)
    assert run.info.status == "done"
    assert run.info.map == "pca"
    assert len(run.table) == 569
    assert run.info.noise_rate.low < 0.081 < run.info.noise_rate.high  # 46 of 569 labels are wrong
    assert {event["run"] for event in EVENTS} == {TUMOURS.name}


def test_what_is_scored_is_not_scored_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "SAMPLES", (TUMOURS,))
    monkeypatch.setattr(demo, "score", lambda *arguments: pytest.fail("scored again"))
    assert prepare_demo(folder, print) == folder


def test_maps_are_improved_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[str, str]] = []
    monkeypatch.setattr(demo, "SAMPLES", (TUMOURS,))
    monkeypatch.setattr(demo, "draw_map", lambda run, method: drawn.append((run.path.name, method)))
    improve_maps(folder)
    assert drawn == [(TUMOURS.name, "umap")]
    RunFolder(folder / TUMOURS.name).update(map="umap")
    improve_maps(folder)
    assert len(drawn) == 1
    RunFolder(folder / TUMOURS.name).update(map="pca")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OgaError, match=r"The demo folder '.*file/demo' cannot be made: .* Choose one with --folder"):
        prepare_demo(tmp_path / "file" / "demo", print)


def test_the_folder_is_in_the_persons_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "oga" / "demo"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_folder() == Path.home() / ".cache" / "oga" / "demo"
