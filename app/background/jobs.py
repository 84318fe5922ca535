"""Scoring in a process of its own: it survives a closed browser and gives its memory back when it ends."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from oga_app.server.uploads import FOLDER
from oga_core.errors import OgaError
from oga_core.files import write_whole
from oga_core.pipeline.options import ScoreOptions
from oga_core.runs.folder import RunFolder
from oga_core.runs.side_files import read_object

LOG = "score.log"


@dataclass(frozen=True)
class Job:
    """How far a run is. state: running, done, failed, cancelled, lost (its process is gone), or empty.

    share: 0 to 1, None where unknown. seconds_left: an estimate. stage: what is being done.
    """

    state: str
    stage: str = ""
    share: float | None = None
    seconds_left: float | None = None
    memory_mb: float | None = None
    error: str = ""


def start(data: Path, model: Path | None, run: Path, options: ScoreOptions, *, previous: Path | None = None) -> None:
    """Begin to score, or continue what was interrupted, and return at once.

    What was uploaded lies in the run folder from now on, and goes with it. previous: as in `score`.
    Raises `OgaError` where the folder is no run or is being scored already.
    """
    if options.model_factory:
        raise OgaError(
            f"The network of {run.name} is built by code of yours, {options.model_factory}, which the dashboard does "
            "not run. Continue this run on the command line, with the same oga score … --model-factory."
        )
    created = RunFolder.create(run)
    if status(run).state == "running":
        raise OgaError(f"{run.name} is being scored already. Wait for it, or cancel it first.")
    data = _taken(data, run, "data")
    model = _taken(model, run, "model") if model else None
    options = _with_files_taken(options, run)
    created.update(status="running", error=None, process=None, previous=str(previous) if previous else "")
    (run / "progress.json").unlink(missing_ok=True)
    log = (run / LOG).open("ab")
    process = subprocess.Popen(
        command(data, model, run, options, previous),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    log.close()
    created.update(process=process.pid)
    threading.Thread(target=_reap, args=(process, created), daemon=True).start()


def _with_files_taken(options: ScoreOptions, run: Path) -> ScoreOptions:
    """The options with the uploaded files among them in the run folder."""
    files = {name: getattr(options, name) for name in ("labels", "model_card", "validation", "reference")}
    taken: dict[str, Any] = {name: str(_taken(Path(path), run, name)) for name, path in files.items() if path}
    checkpoints = enumerate(map(Path, options.checkpoints))
    taken["checkpoints"] = tuple(str(_taken(path, run, f"checkpoint_{number}")) for number, path in checkpoints)
    return replace(options, **taken)


def _taken(path: Path, run: Path, role: str) -> Path:
    """The place of an uploaded file in the run folder, linked or copied there; any other path as it is.

    What was uploaded for another run is taken too: it goes with that run.
    """
    uploads = path.is_relative_to(run.parent) and "uploads" in path.relative_to(run.parent).parts[1:2]
    if not path.is_relative_to(run.parent / FOLDER) and not uploads:
        return path
    place = run / "uploads" / role / path.name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    try:
        os.link(path, place)
    except OSError:  # a file system without links, or another one
        write_whole(place, lambda temporary: shutil.copyfile(path, temporary))
    return place


def command(
    data: Path, model: Path | None, run: Path, options: ScoreOptions, previous: Path | None = None
) -> list[str]:
    """The `oga score` command that does it, with these options and no other: what is unset here was chosen to be."""
    words = [sys.executable, "-m", "oga_app.cli", "score", str(data), "--run", str(run)]
    words += ["--model", str(model)] if model else []
    words += ["--previous", str(previous), "--only-decisions"] if previous else []
    default = ScoreOptions()
    for option in fields(ScoreOptions):
        value = getattr(options, option.name)
        if value == getattr(default, option.name):
            continue
        words.append("--" + option.name.replace("_", "-"))
        if value is not True:
            words.append(",".join(value) if isinstance(value, tuple) else str(value))
    return words


def cancel(run: Path) -> None:
    """Ask the process to stop; what it has computed is kept and the run can be continued."""
    process = RunFolder.open(run).info.process
    if isinstance(process, int) and _is_ours(process, run):
        os.kill(process, signal.SIGTERM)


def map_is_coming(run: Path) -> bool:
    """Whether a quick map stands in for one that is still being computed."""
    info = RunFolder(run).info
    process = info.process
    wanted = info.options.get("map")
    return wanted == "umap" != info.map and isinstance(process, int) and _is_ours(process, run)


def status(run: Path) -> Job:
    """How far the run is, from its files."""
    info = RunFolder(run).info
    state = info.status
    if state != "running":
        return Job(state, error=info.error or "")
    process = info.process
    if isinstance(process, int) and not _is_ours(process, run):
        return Job("lost", error="The process that scored this run is gone. Continue it: what was computed is kept.")
    event = _event(run)
    done = event.get("done")
    total = event.get("total")
    stage = " · ".join(str(event[name]) for name in ("stage", "score") if event.get(name))
    share = min(done / total, 1.0) if isinstance(done, int) and isinstance(total, int) and total > 0 else None
    return Job("running", stage or "starting", share, event.get("seconds_left"), event.get("memory_mb"))


def _event(run: Path) -> dict[str, Any]:
    try:
        event = read_object(run / "progress.json", "") or {}
    except OgaError:  # it is written twice a second
        return {}
    numbers = ("done", "total", "seconds_left", "memory_mb")
    return {name: value for name, value in event.items() if isinstance(value, (int, float) if name in numbers else str)}


def _reap(process: subprocess.Popen[bytes], run: RunFolder) -> None:
    code = process.wait()
    try:
        info = run.info
    except OgaError:  # deleted, or no longer ours to read: there is no place left to say how it ended
        return
    # Another process may be scoring this run by now.
    if info.status == "running" and info.process == process.pid:
        lines = (run.path / LOG).read_text(errors="replace").strip().splitlines()
        reason = lines[-1].removeprefix("oga: ") if lines else f"The process ended with status {code}."
        run.update(status="cancelled" if code in (130, -signal.SIGTERM) else "failed", error=reason)


def _is_ours(process: int, run: Path) -> bool:
    """Whether this process number still belongs to the scoring of `run` and not to something else."""
    import psutil

    try:
        words = psutil.Process(process).cmdline()
    except psutil.Error:
        return False
    return any(word in (str(run), str(run.resolve())) for word in words)


def save_upload(name: str, content: Any, folder: Path) -> Path:
    """Copy an uploaded file into `folder`; of its own name only letters, digits and known signs are kept.

    What the file is, the readers decide from its content.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem, ending = _clean(name)
    path = folder / f"{stem}{ending}"
    write_whole(path, lambda temporary: _copy(content, temporary))
    return path


def _clean(name: str) -> tuple[str, str]:
    last = re.split(r"[/\\]", name.lower())[-1]
    endings = re.findall(r"\.[a-z][a-z0-9]{0,11}(?=\.|$)", last)
    ending = "".join(endings[-2:]) if endings[-2:-1] == [".tar"] else "".join(endings[-1:])
    stem = re.sub(r"[^a-z0-9_-]+", "_", last.removesuffix(ending))[:40].strip("_")
    return stem or "upload", ending


def _copy(content: Any, path: Path) -> None:
    content.seek(0)
    with path.open("wb") as target:
        shutil.copyfileobj(content, target, 1 << 20)
