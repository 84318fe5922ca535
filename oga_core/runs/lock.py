"""One scoring a run folder at a time, and none that replaces the run of another data set by accident."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from oga_core.errors import OgaError
from oga_core.files import remove_leftovers, unwritable
from oga_core.runs.info import LOCK, RunInfo


@contextlib.contextmanager
def only_scoring(folder: Path, data: str, *, overwrite: bool = False) -> Iterator[None]:
    """Hold a run folder for one scoring of `data`, a full path; what killed writers left in it is removed.

    overwrite: whether the run of another data set, its decisions too, is removed. Raises `OgaError` where another
    process scores into the folder, or where it holds such a run and `overwrite` is False.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise OgaError(
            f"{folder} is being scored already by another process. Wait for it, or give another folder."
        ) from None
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        remove_leftovers(folder)
        _replace_other(folder, data, overwrite)
        yield
    finally:
        lock.release()


def refuse_other(folder: Path, data: str) -> None:
    """Raise `OgaError` where a run folder holds the run of other data than `data`, a full path."""
    former = _other_run(folder, data)
    if former is not None:
        raise OgaError(
            f"The run folder {folder} holds the run of other data, {former}. Give another folder, or --overwrite to "
            "remove that run with its decisions."
        )


def _other_run(folder: Path, data: str) -> str | None:
    """The other data whose run a folder holds; None where it holds no results, or those of `data`."""
    former = RunInfo.read(folder / "run.json").data.path
    has_results = (folder / "scores.parquet").exists() or (folder / "review.sqlite").exists()
    return former if has_results and _is_other(former, data) else None


def _replace_other(folder: Path, data: str, overwrite: bool) -> None:
    if not overwrite:
        return refuse_other(folder, data)
    if _other_run(folder, data) is None:
        return
    for path in folder.iterdir():
        if path.name != LOCK and not Path(data).is_relative_to(path):  # data that were fetched into the run's folder
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _is_other(former: str, data: str) -> bool:
    """Whether two paths name different data; a file that is not where it was may have moved, and keeps its name."""
    moved = Path(former).name == Path(data).name and not Path(former).exists()
    is_inside = Path(former).is_relative_to(data)  # a live data set, written into the folder of the run
    return former not in ("", data) and not moved and not is_inside
