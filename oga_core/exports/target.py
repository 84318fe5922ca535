"""Where an export goes: never over what was scored, never over a run, and nothing but files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from oga_core.errors import OgaError
from oga_core.files import is_temporary
from oga_core.runs.info import RunInfo
from oga_core.worker.limits import WorkerError


def check_target(out: Path, info: RunInfo, run: Path) -> None:
    """Raise `OgaError` where an export must not be written: over what was scored, or where something lies already."""
    if out.name in ("", ".."):
        raise OgaError(f"{str(out)!r} is the name of no new file or folder. Give one.")
    if not out.parent.is_dir():
        raise OgaError(f"There is no folder {str(out.parent)!r} to write to. Make it first.")
    place = out.parent.resolve() / out.name
    _refuse_scored(place, info)
    if place.exists() and place.resolve().is_relative_to(run.resolve()):
        raise OgaError(f"{str(out)!r} belongs to the run. Give another place, so that the run stays as it is.")
    if out.is_dir() and (out.is_symlink() or any(out.iterdir())):
        raise OgaError(f"{out} exists already. Give a new or empty folder, so that nothing is overwritten.")


def _refuse_scored(place: Path, info: RunInfo) -> None:
    options = info.data.options
    for kind, path in (("data", info.data.path), ("data", options.get("labels")), ("model", info.model.path)):
        if not path:
            continue
        scored = Path(path).resolve()
        if place == scored or place.resolve() == scored:
            raise OgaError(
                f"{str(place)!r} is the {kind} that was scored. Give another place, so that it stays as it is."
            )
        if scored.is_dir() and place.is_relative_to(scored):
            raise OgaError(
                f"{str(place)!r} lies in the {kind} that was scored, which would change. Give another place."
            )


def written_name(folder: Path, name: str) -> str:
    """Return the name of what a worker wrote into `folder`: `name`, with an ending where it has none.

    Raises `WorkerError` for anything that no export of ours leaves there, such as links and devices.
    """
    results = [path for path in folder.iterdir() if not is_temporary(path)]
    is_named = len(results) == 1 and (results[0].name == name or results[0].name.startswith(f"{name}."))
    if not is_named or not all(entry.is_file(follow_symlinks=False) for entry in _entries(folder)):
        raise WorkerError("The worker wrote something else than the export, which was thrown away.")
    return results[0].name


def _entries(folder: Path | os.DirEntry[str]) -> Iterator[os.DirEntry[str]]:
    """Yield all that lies in a folder and its folders, without these."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(entry)
            else:
                yield entry


def move(written: Path, target: Path, *, replace: bool) -> None:
    """Give what was written its place; an empty folder there makes room, and a file where it may be replaced."""
    if target.is_file() and not replace:
        raise OgaError(f"{str(target)!r} exists already. Give a new name, so that nothing is overwritten.")
    try:
        if target.is_dir() and written.is_dir():
            target.rmdir()
        os.replace(written, target)
    except OSError as error:
        raise OgaError(f"{str(target)!r} cannot be written: {error.strerror}. Give another place.") from None
