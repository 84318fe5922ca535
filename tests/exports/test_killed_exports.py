"""Exports killed in the middle: nothing half-written, and nothing left after the next export there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from export_runs import export_here, make_run
from reader_sets import encoded, picture, write_folder

from oga_core.files import is_temporary
from oga_core.review import Decision, ReviewStore
from oga_core.runs.folder import RunFolder

N_KILLS = int(os.environ.get("OGA_KILLS", "2"))
N_IMAGES = 600  # written in half a second, so that a kill falls into it
FORMATS = {"fixed": ("", ".zip"), "csv": (".csv",), "report": (".html",)}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="SIGKILL is POSIX's, and /proc Linux's")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("killed")
    members: dict[str, bytes | str] = {f"{'ab'[i % 2]}/{i:05d}.png": encoded(picture(i)) for i in range(N_IMAGES)}
    run = make_run(folder / "run", write_folder(folder / "set", members))
    ReviewStore(run.review).decide([Decision("a/00000.png", "relabel", "b"), Decision("b/00001.png", "remove")])
    return run


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def server(run: RunFolder) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(Path(__file__).with_name("export_server.py")), str(run.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def kill_in_the_middle(server: subprocess.Popen[str], format: str, place: Path, delay: float) -> None:
    """Have a process export, and kill it `delay` seconds after its worker began to write."""
    assert server.stdin
    assert server.stdout
    server.stdin.write(f"{format}\t{place}\n")
    server.stdin.flush()
    process = int(server.stdout.readline())
    end = time.monotonic() + 60
    while not list(place.parent.glob("*/*")) and time.monotonic() < end:
        time.sleep(0.001)
    time.sleep(delay)
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    while Path(f"/proc/{process}").exists() and time.monotonic() < end:
        time.sleep(0.001)


@pytest.mark.parametrize(("format", "ending"), [(format, end) for format, ends in FORMATS.items() for end in ends])
def test_a_killed_export_leaves_nothing_or_all(
    format: str, ending: str, run: RunFolder, server: subprocess.Popen[str], tmp_path: Path
) -> None:
    whole = export_here(run, format, tmp_path / f"whole{ending}")
    for kill in range(N_KILLS):
        folder = tmp_path / f"kill-{kill}"
        folder.mkdir()
        kill_in_the_middle(server, format, folder / f"out{ending}", delay=0.05 * kill)
        left = entries(folder)
        assert left, "the kill came before the first write"
        written = [name for name in left if not is_temporary(folder / name)]
        assert written in ([], [f"out{ending}"])
        if not written:
            export_here(run, format, folder / f"out{ending}")
            assert entries(folder) == [f"out{ending}"]  # what a kill leaves beside a whole file, the next export takes
        assert sizes(folder / f"out{ending}") == sizes(whole) or format == "report"  # which names the time of writing


def sizes(path: Path) -> dict[str, int]:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return {"" if path.is_file() else file.relative_to(path).as_posix(): file.stat().st_size for file in files}
