"""Where an export may go: no name is followed elsewhere, and neither data nor run is written over."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest
from export_runs import export_here as export
from export_runs import make_run
from reader_sets import class_folder_members, write_folder

from oga_core.errors import OgaError
from oga_core.review import Decision, ReviewStore
from oga_core.runs.folder import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    (tmp_path / "data.csv").write_text("text,label\nx,a\ny,b\n")
    run = make_run(tmp_path / "run", tmp_path / "data.csv")
    with closing(ReviewStore(run.review)) as store:
        store.decide(Decision("0", "remove"))
    return run


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["run.json", "scores.parquet", "review.sqlite"])
def test_the_files_of_the_run_are_never_written_over(name: str, run: RunFolder, tmp_path: Path) -> None:
    before = everything(tmp_path)
    for format in ("csv", "parquet", "fixed"):
        with pytest.raises(OgaError, match="belongs to the run"):
            export(run, format, run.path / name)
    assert everything(tmp_path) == before


def test_an_ending_that_is_added_does_not_lead_to_the_data(run: RunFolder, tmp_path: Path) -> None:
    before = everything(tmp_path)
    with pytest.raises(OgaError, match="is the data that was scored"):
        export(run, "fixed", tmp_path / "data")
    with pytest.raises(OgaError, match="belongs to the run"):
        export(run, "parquet", run.path / "scores")
    assert everything(tmp_path) == before


def test_a_link_to_the_data_is_the_data(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "data.csv")
    (tmp_path / "elsewhere").symlink_to(tmp_path)
    for out in (tmp_path / "link.csv", tmp_path / "elsewhere" / "data.csv"):
        with pytest.raises(OgaError, match="is the data that was scored"):
            export(run, "fixed", out)


def test_nothing_is_written_into_the_data(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "set", class_folder_members())
    run = make_run(tmp_path / "run", data)
    with pytest.raises(OgaError, match="lies in the data that was scored"):
        export(run, "csv", data / "cat" / "out.csv")
    assert run.samples


def test_a_link_is_replaced_and_what_it_leads_to_stays(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("mine")
    (tmp_path / "out.csv").symlink_to(tmp_path / "other.txt")
    written = export(run, "csv", tmp_path / "out.csv")
    assert (tmp_path / "other.txt").read_text() == "mine"
    assert not written.is_symlink()
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nowhere.txt")
    assert export(run, "csv", tmp_path / "gone.csv").read_text().startswith("text,label")
    assert not (tmp_path / "nowhere.txt").exists()


def test_a_link_to_a_folder_is_refused(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    with pytest.raises(OgaError, match="exists already"):
        export(run, "huggingface", tmp_path / "link")
    assert export(run, "huggingface", tmp_path / "empty").is_dir()


@pytest.mark.parametrize("name", ["", ".", "..", "/", "a/.."])
def test_a_place_without_a_name_is_refused(
    name: str, run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OgaError, match="is the name of no new file or folder"):
        export(run, "csv", Path(name))


def test_a_file_where_a_folder_must_be_and_the_other_way_round(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "empty.csv").mkdir()
    for format, out in (("huggingface", tmp_path / "file"), ("csv", tmp_path / "empty.csv")):
        with pytest.raises(OgaError, match=r"cannot be written: .* Give another place\."):
            export(run, format, out)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_file_is_kept_where_nothing_may_be_replaced(run: RunFolder, tmp_path: Path) -> None:
    first = export(run, "csv", tmp_path / "out")
    assert export(run, "csv", tmp_path / "out") == first
    with pytest.raises(OgaError, match="exists already"):
        export(run, "csv", tmp_path / "out", replace=False)


@pytest.mark.parametrize(("mask", "file", "folder"), [(0o077, 0o600, 0o700), (0o027, 0o640, 0o750), (0, 0o666, 0o777)])
def test_the_umask_holds_for_all_that_is_written(
    mask: int, file: int, folder: int, run: RunFolder, tmp_path: Path
) -> None:
    former = os.umask(mask)
    try:
        written = [export(run, name, tmp_path / f"{mask}-{name}") for name in ("csv", "fixed", "huggingface")]
    finally:
        os.umask(former)
    for path in (inside for out in written for inside in (out, *out.rglob("*"))):
        assert path.stat().st_mode & 0o777 == (folder if path.is_dir() else file), path
