"""Run folders as a whole: how much disk they take, renamed, deleted."""

from __future__ import annotations

import re
import shutil
from contextlib import closing
from pathlib import Path

from oga_app.background import jobs
from oga_core.errors import OgaError
from oga_core.review import ReviewStore

_NAME = re.compile(r"[\w][\w .()+-]{0,79}")


def check_name(name: str) -> str:
    """Return the name without surrounding space; raises `OgaError` where it cannot be a folder."""
    if not _NAME.fullmatch(name.strip()):
        raise OgaError(f"The name {name!r} cannot be a folder. Use letters, digits, spaces and . - _ ( ) +.")
    return name.strip()


def size(run: Path) -> int:
    """Bytes of disk that a run takes, what was uploaded for it included."""
    return sum(path.lstat().st_size for path in run.rglob("*") if path.is_file() and not path.is_symlink())


def n_decided(run: Path) -> int:
    """How many samples are decided in a run."""
    path = run / "review.sqlite"
    if not path.is_file():
        return 0
    with closing(ReviewStore(path)) as store:
        return sum(store.counts().values())


def rename(run: Path, name: str) -> Path:
    """Give a run another name and return where it is; raises `OgaError` where the name is taken or no name."""
    target = run.with_name(check_name(name))
    if target.exists():
        raise OgaError(f"There is a run {name!r} already. Choose another name.")
    _check_idle(run, "renamed")
    run.rename(target)
    return target


def delete(run: Path) -> None:
    """Remove a run with its decisions and uploads; raises `OgaError` while it is being scored."""
    _check_idle(run, "deleted")
    if not (run / "run.json").is_file():
        raise OgaError(f"{run.name} is not a run, so it is not deleted.")
    shutil.rmtree(run)


def _check_idle(run: Path, what: str) -> None:
    if jobs.status(run).state == "running" or jobs.map_is_coming(run):
        raise OgaError(f"{run.name} is being scored, so it cannot be {what} now. Cancel it first, or wait.")
