"""Files that people send: who may send them, how much there is room for, where they lie, and when they go."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

FOLDER = ".uploads"
MAX_FILE_MB = 200
# Data, a model, and once more of each after a wrong choice. Streamlit holds them in memory as well as we on the disk.
SESSION_BYTES = 4 * MAX_FILE_MB << 20
# For all sessions together: a quarter of the machine's memory, but no more than 4 GB.
TOTAL_BYTES = min(psutil.virtual_memory().total // 4, 4 << 30)
_SESSION_FILES = 50
# Streamlit lets a session come back for two minutes after its connection broke.
_ENDED_AFTER = 150.0
# Where files cannot be locked (Windows): seconds after which another server's folder counts as left behind.
_ABANDONED_AFTER = 24 * 3600.0
_LOCK = ".lock"
_FILE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Refusal(Exception):
    """An upload that is not let in; `status` is the answer's."""

    def __init__(self, status: int, reason: str):
        super().__init__(reason)
        self.status = status


@dataclass
class _Guest:
    """A session that may upload: whose it is, when it was last connected, its files' sizes by id, and their folders."""

    account: str
    seen: float
    sizes: dict[str, int] = field(default_factory=dict)
    arriving: set[str] = field(default_factory=set)
    folders: list[Path] = field(default_factory=list)


class Room:
    """The uploads of all sessions; `session_bytes` and `total_bytes` bound them."""

    def __init__(
        self,
        session_bytes: int = SESSION_BYTES,
        total_bytes: int = TOTAL_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.session_bytes = session_bytes
        self.total_bytes = total_bytes
        self._clock = clock
        self._guests: dict[str, _Guest] = {}
        self._homes: dict[Path, _Home] = {}
        self._lock = threading.Lock()

    def welcome(self, session: str, account: str) -> None:
        """Let a session upload that shows the pages, for the account that is signed in (empty where there are none)."""
        with self._lock:
            self._guests.setdefault(session, _Guest(account, self._clock()))

    def admit(self, session: str, file: str, account: str, length: str | None) -> None:
        """Make room for a file of `length` bytes before any of it is read; raises `Refusal`."""
        if length is None or not length.isdecimal():
            raise Refusal(411, "Say how large the file is.")
        size = int(length)
        with self._lock:
            guest = self._guest(session, file, account)
            if file in guest.sizes:
                raise Refusal(409, "This file is here already.")
            if size > MAX_FILE_MB << 20:
                raise Refusal(413, f"A file may have {MAX_FILE_MB} MB.")
            if sum(guest.sizes.values()) + size > self.session_bytes or len(guest.sizes) >= _SESSION_FILES:
                raise Refusal(413, "This session has uploaded as much as it may. Remove a file, or reload the page.")
            if sum(sum(each.sizes.values()) for each in self._guests.values()) + size > self.total_bytes:
                raise Refusal(507, "There is no room for more uploads now. Try again later.")
            guest.sizes[file] = size
            guest.arriving.add(file)

    def arrived(self, session: str, file: str, *, whole: bool) -> None:
        """End what `admit` began; a file that did not arrive whole gives its room back."""
        with self._lock:
            guest = self._guests.get(session)
            if guest is not None:
                guest.arriving.discard(file)
                if not whole:
                    guest.sizes.pop(file, None)

    def remove(self, session: str, file: str, account: str) -> None:
        """Give back the room of a file that its session removes; raises `Refusal`."""
        with self._lock:
            guest = self._guest(session, file, account)
            if file in guest.arriving:
                raise Refusal(409, "This file is still arriving.")
            guest.sizes.pop(file, None)

    def folder(self, session: str, root: Path) -> Path:
        """A new folder below `root` with a name of the server's choice, which goes when the session has ended."""
        folder = Path(tempfile.mkdtemp(dir=self.open(root)))
        with self._lock:
            guest = self._guests.setdefault(session, _Guest("", self._clock()))
            guest.folders.append(folder)
        return folder

    def open(self, root: Path) -> Path:
        """This server's own folder below `root`, made when first asked for; folders of servers that died go."""
        with self._lock:
            if root not in self._homes:
                root.mkdir(parents=True, exist_ok=True)
                _remove_abandoned(root)
                self._homes[root] = _Home(root)
            return self._homes[root].path

    def close(self) -> None:
        """Remove all that no run took."""
        with self._lock:
            self._guests.clear()
            for home in self._homes.values():
                home.close()
            self._homes.clear()

    def sweep(self, is_active: Callable[[str], bool]) -> list[str]:
        """Remove the folders of sessions that ended some time ago; return the ids of these sessions."""
        now = self._clock()
        with self._lock:
            for session, guest in self._guests.items():
                if is_active(session):
                    guest.seen = now
            ended = [session for session, guest in self._guests.items() if now - guest.seen > _ENDED_AFTER]
            folders = [folder for session in ended for folder in self._guests.pop(session).folders]
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        return ended

    def _guest(self, session: str, file: str, account: str) -> _Guest:
        guest = self._guests.get(session)
        if guest is None or guest.account != account:
            raise Refusal(403, "This session may not upload.")
        if not _FILE_ID.fullmatch(file):
            raise Refusal(400, "The name of an upload comes from the server.")
        return guest


class _Home:
    """A folder that is locked for as long as its server lives."""

    def __init__(self, root: Path):
        self.path = Path(tempfile.mkdtemp(dir=root))
        self._lock = (self.path / _LOCK).open("wb")
        _lock(self._lock)

    def close(self) -> None:
        self._lock.close()
        shutil.rmtree(self.path, ignore_errors=True)


def _remove_abandoned(root: Path) -> None:
    """Remove what no living server holds and no run refers to."""
    described = "".join(path.read_text(errors="replace") for path in root.parent.glob("*/run.json"))
    for path in root.iterdir():
        if path.name in described or _is_held(path):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _is_held(home: Path) -> bool:
    try:
        with (home / _LOCK).open("rb") as file:
            return not _lock(file)
    except OSError:
        return False


def _lock(file: IO[bytes]) -> bool:
    """Whether the file could be locked; where the system has no such locks, only the day-old count as abandoned."""
    try:
        import fcntl
    except ImportError:
        return time.time() - os.fstat(file.fileno()).st_mtime > _ABANDONED_AFTER
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


ROOM = Room()
