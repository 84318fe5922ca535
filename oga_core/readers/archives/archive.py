"""What every archive offers: members by name, streamed; nothing is ever extracted."""

from __future__ import annotations

import posixpath
import struct
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from oga_core.errors import OgaError
from oga_core.readers.archives.names import folded, leaves_folder

MAX_ENTRIES = 2_000_000  # more names than this fill the memory
MAX_TOTAL_BYTES = 256 << 30
MAX_MEMBER_BYTES = 8 << 30
MAX_RATIO = 100  # photographs and tables pack two to twenty times, bombs a thousand times
RATIO_FREE_BYTES = 10_000_000  # below this even a bomb is harmless
NESTED_SUFFIXES = frozenset({".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar"})
_MAC_ICON = "Icon\r"  # macOS puts a file of this name into a folder that has a picture of its own
JUNK_NAMES = frozenset({"thumbs.db", "desktop.ini", "__macosx", _MAC_ICON.casefold()})
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, struct.error, NotImplementedError)


class Archive(ABC):
    """Files by name, names with forward slashes and relative to the root; hidden and system files are left out.

    `names` is sorted as the members lie in the archive; folders are sorted by name. Reading is thread-safe.
    """

    def __init__(self, path: Path, sizes: dict[str, int]):
        self.path = path
        self.sizes = sizes
        self.names = list(sizes)

    @abstractmethod
    def read(self, name: str, limit: int = MAX_MEMBER_BYTES) -> bytes:
        """Return the whole content of a member; raises `OgaError` above `limit` bytes or when it is damaged."""

    def head(self, name: str, n_bytes: int) -> bytes:
        """Return at most the first `n_bytes` of a member, without reading the rest."""
        try:
            with self._open(name) as member:
                return member.read(n_bytes)
        except DAMAGE as error:
            raise OgaError(f"{name} in {self.path.name} is damaged: {error}.") from None

    @abstractmethod
    def _open(self, name: str) -> IO[bytes]:
        """Open a member for reading from its start."""

    @abstractmethod
    def stamps(self) -> Iterable[object]:
        """What identifies the content without reading it, for a fingerprint."""

    def mapped_from(self, name: str) -> int | None:
        """Where the content of a large member begins in the archive's file, if it lies there as it is; else None.

        Raises `OgaError` when it is damaged.
        """
        return None

    def has(self, name: str) -> bool:
        """Whether there is a member of this name."""
        return name in self.sizes

    def too_large(self, name: str, limit: int) -> OgaError:
        """Return the error for a member above the limit."""
        return OgaError(
            f"{name} in {self.path.name} is larger than {limit:,} bytes, the most that is read. Make it smaller."
        )


class PackedArchive(Archive):
    """An archive in one file: its members have different names and together no more bytes than are read."""

    def __init__(self, path: Path, members: Sequence[tuple[str, int]]):
        _check_collisions(path, [name for name, _ in members])
        super().__init__(path, dict(members))
        _check_total(path, self.sizes.values())


def is_zip(path: Path) -> bool:
    """Whether the file begins as a zip does (also an empty one)."""
    with path.open("rb") as file:
        return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def suffix_of(name: str) -> str:
    """Return the lower-case ending of a member's name with its point, empty where it has none."""
    return posixpath.splitext(name)[1].casefold()


def is_junk(part: str) -> bool:
    """Whether a file or folder name is hidden or made by an operating system."""
    return part.startswith(".") or part.casefold() in JUNK_NAMES


def check_name(path: Path, name: str) -> None:
    """Raise `OgaError` for the name of a member that could lead out of the archive, or that is another archive."""
    is_path = "\\" in name or name[1:2] == ":" or any(part in ("", ".", "..") for part in name.split("/"))
    if is_path or leaves_folder(name.replace(_MAC_ICON, "Icon")):
        raise OgaError(f"{path.name} holds a file with an unsafe name: {name!a}. Names must lie inside the archive.")
    if suffix_of(name) in NESTED_SUFFIXES:
        raise OgaError(f"{path.name} holds another archive, {name}. Give the inner archive itself.")


def _check_collisions(path: Path, names: list[str]) -> None:
    """Raise `OgaError` where two members have names that some file system takes for one."""
    seen: dict[str, str] = {}
    for name in names:
        key = folded(name)
        if key in seen:
            how = "twice" if seen[key] == name else f"beside {seen[key]!r}, which differs only in upper and lower case"
            raise OgaError(f"{path.name} holds {name!r} {how}. Rename one of them.")
        seen[key] = name


def _check_total(path: Path, sizes: Iterable[int]) -> None:
    """Raise `OgaError` where the members state more bytes than are read."""
    total = sum(sizes)
    if total > MAX_TOTAL_BYTES:
        raise OgaError(f"{path.name} states {total:,} bytes in all; at most {MAX_TOTAL_BYTES:,} are read.")


def too_many(path: Path) -> OgaError:
    """Return the error for an archive of more members than are listed."""
    return OgaError(f"{path.name} has more than {MAX_ENTRIES:,} files, the most that is read. Split it.")
