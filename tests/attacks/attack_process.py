"""Open one hostile file in a process of its own, under limits, and see what came of it."""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from oga_core.errors import OgaError, UnreadableSample
from oga_core.worker.jail import set_limits

SECONDS = 30  # the longest that a person should wait for a refusal
MEMORY = 4 << 30
FILE_SIZE = 1 << 30

LIMITS = ("SIGKILL", "SIGXCPU", "SIGXFSZ")

End = Literal["refused", "harmless", "limit", "fault"]


@dataclass(frozen=True)
class Attack:
    """A hostile file: how it is built in an empty folder, how it is opened, and whether it must be refused.

    build: gets the folder and the marker that its payload would write, and returns what to open.
    """

    name: str
    build: Callable[[Path, Path], Path]
    open: Callable[[Path], object]
    must_be_refused: bool


@dataclass(frozen=True)
class Outcome:
    """How an attack ended, in a sentence too; whether its payload ran, and what was written outside its folder."""

    name: str
    end: End
    message: str
    seconds: float
    ran: bool
    outside: tuple[str, ...]
    is_expected: bool


def tried(attack: Attack, root: Path) -> Outcome:
    """Build and open one attack below `root`; the process that calls is not touched by what happens to the other."""
    folder = root / "attack"
    marker = root / "marker"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    built = _apart(lambda: str(attack.build(folder, marker)), seconds=10 * SECONDS)
    assert built.answer, f"{attack.name} cannot be built: {built.ending}"
    path = Path(built.answer)
    before = _files(root)
    start = time.monotonic()
    end, message = _opened(attack, path, folder)
    seconds = time.monotonic() - start
    outside = tuple(sorted(_files(root) - before - {str(marker)}))
    ran = marker.exists()
    marker.unlink(missing_ok=True)
    for name in outside:
        Path(name).unlink(missing_ok=True)
    is_expected = end in (("refused", "limit") if attack.must_be_refused else ("refused", "harmless", "limit"))
    return Outcome(attack.name, end, message, seconds, ran, outside, is_expected)


def _files(root: Path) -> set[str]:
    return {str(path) for path in root.rglob("*") if not path.is_dir()}


def _opened(attack: Attack, path: Path, folder: Path) -> tuple[End, str]:
    opened = _apart(lambda: json.dumps(_end_of(attack, path, folder)), SECONDS)
    if opened.answer:
        end, message = json.loads(opened.answer)
        return end, message
    return ("limit" if opened.ending in LIMITS else "fault"), f"ended by {opened.ending}"


class Apart(NamedTuple):
    """What a function in a process of its own answered, empty where it did not, and how the process ended."""

    answer: str
    ending: str


def _apart(function: Callable[[], str], seconds: float) -> Apart:
    """Run a function in a copy of this process, and kill that after `seconds`."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        faulthandler.disable()  # its ending tells of a crash, and a trace in the middle of a test run would alarm
        with contextlib.suppress(BaseException):
            os.close(reading)
            os.write(writing, function().encode())
        os._exit(0)
    os.close(writing)
    has_ended, _, _ = select.select([reading], [], [], seconds)
    answer = os.read(reading, 1 << 16).decode() if has_ended else ""
    os.close(reading)
    if not has_ended:
        os.kill(process, signal.SIGKILL)
    status = os.waitpid(process, 0)[1]
    return Apart(answer, signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"status {status}")


def _end_of(attack: Attack, path: Path, folder: Path) -> tuple[End, str]:
    """Open the file as the worker does, but without its jail: only the loader keeps a payload from its marker."""
    os.chdir(folder)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    set_limits(MEMORY, SECONDS, FILE_SIZE, accelerator=False)
    try:
        attack.open(path)
    except (OgaError, UnreadableSample) as error:
        return "refused", str(error)[:1_000]
    except MemoryError:
        return "limit", "more memory than allowed"
    except BaseException as error:
        return "fault", f"{type(error).__name__}: {error}"[:1_000]
    return "harmless", ""
