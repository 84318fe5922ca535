"""Class names that come from a model's card or a reviewer never become paths that leave an export."""

from __future__ import annotations

from pathlib import Path

import pytest
from export_runs import export_here as export
from export_runs import make_run
from reader_sets import class_folder_members, encoded, picture, write_folder, write_tar, write_zip

from oga_core.errors import OgaError
from oga_core.readers import read_samples
from oga_core.review import Decision, ReviewStore
from oga_core.runs.folder import RunFolder

SOURCES = {
    "folder": lambda tmp: write_folder(tmp / "set", class_folder_members()),
    "zip": lambda tmp: write_zip(tmp / "set.zip", class_folder_members()),
    "tar": lambda tmp: write_tar(tmp / "set.tar", class_folder_members()),
}


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return SOURCES[request.param](tmp_path)


def relabelled(tmp_path: Path, source: Path, label: str) -> RunFolder:
    run = make_run(tmp_path / "run", source, classes=["cat", "dog", "NA", label])
    ReviewStore(run.review).decide(Decision(run.samples.ids[0], "relabel", label))
    return run


def files_outside_the_run(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if folder / "run" not in path.parents)


@pytest.mark.parametrize(
    "label", ["../../x", "OUTSIDE", "a/../../x", "a/b", "a\\b", "..", ".hidden", "nul", "x.", "", "x\0", "x" * 300]
)
@pytest.mark.parametrize("name", ["out", "out.zip"])
def test_a_class_that_is_no_folder_is_refused(label: str, name: str, source: Path, tmp_path: Path) -> None:
    run = relabelled(tmp_path, source, label.replace("OUTSIDE", str(tmp_path / "outside")))
    before = files_outside_the_run(tmp_path)
    with pytest.raises(OgaError, match="cannot be the name of"):
        export(run, "fixed", tmp_path / name)
    assert files_outside_the_run(tmp_path) == before
    assert not Path("OUTSIDE").exists()


def test_images_that_move_to_one_name_are_all_kept(tmp_path: Path) -> None:
    names = ["cat/same.png", "dog/same.png", "dog/same_from_cat.png", "bird/Same.PNG"]
    members: dict[str, bytes | str] = {name: encoded(picture(i)) for i, name in enumerate(names)}
    run = make_run(tmp_path / "run", write_zip(tmp_path / "a.zip", members))
    ReviewStore(run.review).decide([Decision(names[0], "relabel", "dog"), Decision(names[3], "relabel", "dog")])
    after = read_samples(export(run, "fixed", tmp_path / "out"))
    assert len(after) == 4
    assert after.class_names == ("dog",)
    assert {image.tobytes() for image in after.inputs} == {picture(i).tobytes() for i in range(4)}
