"""One safe way to list and stream the members of a folder, zip or tar; nothing is ever extracted."""

from __future__ import annotations

import io
import os
import posixpath
import stat
import struct
import tarfile
import tempfile
import threading
import unicodedata
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from oga_core.errors import OgaError

MAX_ENTRIES = 2_000_000
MAX_TOTAL_BYTES = 256 << 30
MAX_MEMBER_BYTES = 8 << 30
MAX_RATIO = 100
RATIO_FREE_BYTES = 10_000_000
NESTED_SUFFIXES = frozenset({".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar"})
JUNK_NAMES = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
_BLOCK = 1 << 20
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, struct.error, NotImplementedError)


class Archive(ABC):
    """Files by name, names with forward slashes and relative to the root; hidden and system files are left out.

    `names` is sorted as the members lie in the archive; folders are sorted by name. Reading is thread-safe.
    """

    def __init__(self, path: Path, sizes: dict[str, int]):
        self.path, self.sizes = path, sizes
        self.names = list(sizes)

    @abstractmethod
    def read(self, name: str, limit: int = MAX_MEMBER_BYTES) -> bytes:
        """Return the whole content of a member; raises `OgaError` above `limit` bytes or when it is damaged."""

    def head(self, name: str, n_bytes: int) -> bytes:
        """Return at most the first `n_bytes` of a member, without reading the rest."""
        try:
            with self._open(name) as member:
                return member.read(n_bytes)
        except _DAMAGE as error:
            raise OgaError(f"{name} in {self.path.name} is damaged: {error}.") from None

    @abstractmethod
    def _open(self, name: str) -> IO[bytes]:
        """Open a member for reading from its start."""

    @abstractmethod
    def stamps(self) -> Iterable[object]:
        """What identifies the content without reading it, for a fingerprint."""

    def has(self, name: str) -> bool:
        return name in self.sizes

    def _too_large(self, name: str, limit: int) -> OgaError:
        return OgaError(
            f"{name} in {self.path.name} is larger than {limit:,} bytes, the most that is read. Make it smaller."
        )


class Folder(Archive):
    """A folder on this machine. A link is followed only to a file inside the folder."""

    def __init__(self, path: Path):
        self._root = path.resolve()
        self._modified: dict[str, int] = {}
        sizes: dict[str, int] = {}
        for name, size, modified in self._walk(self._root, ""):
            sizes[name], self._modified[name] = size, modified
            if len(sizes) > MAX_ENTRIES:
                raise _too_many(path)
        super().__init__(path, sizes)

    def _walk(self, folder: Path, prefix: str) -> Iterator[tuple[str, int, int]]:
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            name = prefix + entry.name
            if is_junk(entry.name):
                continue
            if not _is_text(name):
                raise OgaError(f"The file name {name!a} in {self._root} is not valid text. Rename the file.")
            if entry.is_symlink() and not self._stays_inside(Path(entry.path)):
                raise OgaError(f"{name} in {self._root} is a link that leaves the folder. Put the file itself there.")
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(Path(entry.path), name + "/")
            elif entry.is_file():
                status = entry.stat()
                yield name, status.st_size, status.st_mtime_ns

    def _stays_inside(self, link: Path) -> bool:
        target = link.resolve()
        return target.is_relative_to(self._root) and target.is_file()

    def read(self, name: str, limit: int = MAX_MEMBER_BYTES) -> bytes:
        if name not in self.sizes:
            raise KeyError(name)
        try:
            with open(self._root / name, "rb") as file:
                data = file.read(limit + 1)
        except OSError as error:
            raise OgaError(f"{name} cannot be read: {error.strerror}.") from None
        if len(data) > limit:
            raise self._too_large(name, limit)
        return data

    def _open(self, name: str) -> IO[bytes]:
        return open(self._root / name, "rb")

    def stamps(self) -> Iterable[object]:
        return ((name, self.sizes[name], self._modified[name]) for name in self.names)


class Zip(Archive):
    """A zip file: stored and deflated members, checked against bombs, overlaps and hostile names when opened."""

    def __init__(self, path: Path):
        _check_directory_size(path)
        self._file, self._lock = path.open("rb"), threading.Lock()
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, EOFError) as error:
            raise OgaError(f"{path.name} is not a readable zip file: {error}. Make it again.") from None
        infos = self._zip.infolist()
        if len(infos) > MAX_ENTRIES:
            raise _too_many(path)
        _check_overlaps(path, infos)
        for info in infos:
            _check_name(path, info.orig_filename.rstrip("/") or "/")
        members = [info for info in infos if not (info.is_dir() or any(map(is_junk, info.filename.split("/"))))]
        for info in members:
            _check_zip_member(path, info)
        _check_collisions(path, [info.filename for info in members])
        self._infos = {info.filename: info for info in members}
        super().__init__(path, {info.filename: info.file_size for info in members})
        _check_total(path, self.sizes.values())

    def read(self, name: str, limit: int = MAX_MEMBER_BYTES) -> bytes:
        info = self._infos[name]
        if info.file_size > limit:
            raise self._too_large(name, limit)
        with self._lock:
            self._file.seek(info.header_offset)
            header = self._file.read(30)
            self._file.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), 1)
            packed = self._file.read(info.compress_size)
        try:
            data = packed if info.compress_type == zipfile.ZIP_STORED else _inflated(packed, info.file_size)
        except zlib.error as error:
            raise OgaError(f"{name} in {self.path.name} is damaged: {error}.") from None
        if not header.startswith(b"PK\x03\x04") or len(data) != info.file_size or zlib.crc32(data) != info.CRC:
            raise OgaError(f"{name} in {self.path.name} is damaged: its content is not what the archive states.")
        return data

    def _open(self, name: str) -> IO[bytes]:
        return self._zip.open(self._infos[name])

    def stamps(self) -> Iterable[object]:
        return ((name, info.file_size, info.CRC) for name, info in self._infos.items())


class Tar(Archive):
    """A tar file; a compressed one is first unpacked into one nameless temporary file, because it has no index."""

    def __init__(self, path: Path):
        self._file = _plain_tar(path)
        self._lock = threading.Lock()
        self._offsets: dict[str, int] = {}
        sizes: dict[str, int] = {}
        end = self._file.seek(0, os.SEEK_END)
        self._file.seek(0)
        names: list[str] = []
        try:
            with tarfile.open(fileobj=self._file, mode="r:") as tar:
                for count, member in enumerate(tar):
                    tar.__dict__["members"] = []  # tarfile keeps every header otherwise
                    if count >= MAX_ENTRIES:
                        raise _too_many(path)
                    name = member.name.removeprefix("./") or "."
                    if member.isdir() and name == ".":
                        continue
                    _check_tar_member(path, member, name)
                    if member.isdir() or any(map(is_junk, name.split("/"))):
                        continue
                    if member.offset_data + member.size > end:
                        raise OgaError(f"{path.name} ends in the middle of {name}. Copy or make the archive again.")
                    names.append(name)
                    sizes[name], self._offsets[name] = member.size, member.offset_data
        except (tarfile.TarError, ValueError, EOFError, OverflowError, RecursionError) as error:
            raise OgaError(f"{path.name} is not a readable tar file: {error}. Make it again.") from None
        _check_collisions(path, names)
        super().__init__(path, sizes)
        _check_total(path, sizes.values())

    def read(self, name: str, limit: int = MAX_MEMBER_BYTES) -> bytes:
        size = self.sizes[name]
        if size > limit:
            raise self._too_large(name, limit)
        with self._lock:
            self._file.seek(self._offsets[name])
            data = self._file.read(size)
        if len(data) != size:
            raise OgaError(f"{name} in {self.path.name} is cut short: the archive changed while it was in use.")
        return data

    def _open(self, name: str) -> IO[bytes]:
        return io.BytesIO(self.read(name))

    def stamps(self) -> Iterable[object]:
        return ((name, self.sizes[name], self._offsets[name]) for name in self.names)


def open_archive(path: Path) -> Archive:
    """Open a folder, zip or tar by its content; raises `OgaError` for whatever must not be read."""
    if path.is_dir():
        return Folder(path)
    return Zip(path) if is_zip(path) else Tar(path)


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


def _plain_tar(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        head = file.read(6)
    if not head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")):
        return path.open("rb")
    allowed = max(RATIO_FREE_BYTES, MAX_RATIO * path.stat().st_size)
    plain = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the archive)
    for block in _decompressed(path, head):
        allowed -= len(block)
        if allowed < 0:
            raise OgaError(f"{path.name} grows more than {MAX_RATIO} times when unpacked. Give the files themselves.")
        plain.write(block)
    return plain


def _decompressed(path: Path, head: bytes) -> Iterator[bytes]:
    import bz2
    import gzip
    import lzma

    opener = gzip.open if head.startswith(b"\x1f\x8b") else bz2.open if head.startswith(b"BZh") else lzma.open
    try:
        with opener(path, "rb") as file:
            while block := file.read(_BLOCK):
                yield block
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise OgaError(f"{path.name} is damaged: {error}. Copy or make the archive again.") from None


def _inflated(packed: bytes, size: int) -> bytes:
    """Unpack at most one byte more than `size`, whatever the packed data would grow to."""
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, size + 1)


def _check_directory_size(path: Path) -> None:
    """Refuse a zip whose list of members alone would fill the memory, before zipfile reads it."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 65_557))
        tail = file.read()
        record = tail.rfind(b"PK\x05\x06")
        if record < 0 or len(tail) - record < 22:
            raise OgaError(f"{path.name} is not a complete zip file: its end is missing. Copy or make it again.")
        directory = int.from_bytes(tail[record + 12 : record + 16], "little")
        locator = tail[record - 20 : record]
        if record >= 20 and locator.startswith(b"PK\x06\x07"):
            file.seek(min(int.from_bytes(locator[8:16], "little"), size))
            directory = max(directory % 0xFFFFFFFF, int.from_bytes(file.read(56)[40:48], "little"))
    if directory > MAX_ENTRIES * 128:
        raise _too_many(path)


def _check_overlaps(path: Path, infos: list[zipfile.ZipInfo]) -> None:
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise OgaError(
                f"{path.name} has members that overlap ({info.filename!a}), as a zip bomb has. Make the zip again."
            )
        end = info.header_offset + 30 + info.compress_size


def _check_zip_member(path: Path, info: zipfile.ZipInfo) -> None:
    name = info.filename
    if info.flag_bits & 0x1:
        raise OgaError(f"{name} in {path.name} is encrypted. Make the zip again without a password.")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise OgaError(f"{name} in {path.name} is a symbolic link. Put the file itself into the zip.")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise OgaError(f"{name} in {path.name} uses an unusual compression. Make the zip with the usual one (deflate).")
    if info.file_size > MAX_MEMBER_BYTES:
        raise OgaError(f"{name} in {path.name} states {info.file_size:,} bytes; at most {MAX_MEMBER_BYTES:,} are read.")
    if info.file_size > RATIO_FREE_BYTES and info.file_size > MAX_RATIO * max(info.compress_size, 1):
        raise OgaError(
            f"{name} in {path.name} grows {info.file_size // max(info.compress_size, 1):,} times when unpacked, "
            f"as a zip bomb does; at most {MAX_RATIO} times is read. Give the file itself."
        )


def _check_tar_member(path: Path, member: tarfile.TarInfo, name: str) -> None:
    _check_name(path, name)
    if member.issym() or member.islnk():
        raise OgaError(f"{name!a} in {path.name} is a link. Put the file itself into the archive.")
    if not (member.isdir() or (member.isreg() and not member.issparse())):
        raise OgaError(f"{name!a} in {path.name} is not an ordinary file. Make the archive from ordinary files only.")


def _check_name(path: Path, name: str) -> None:
    bad = "\0" in name or "\\" in name or name.startswith("/") or name[1:2] == ":" or not _is_text(name)
    if bad or any(part in ("", ".", "..") for part in name.split("/")):
        raise OgaError(f"{path.name} holds a file with an unsafe name: {name!a}. Names must lie inside the archive.")
    if suffix_of(name) in NESTED_SUFFIXES:
        raise OgaError(f"{path.name} holds another archive, {name}. Give the inner archive itself.")


def _check_collisions(path: Path, names: list[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        key = unicodedata.normalize("NFC", name).casefold()
        if key in seen:
            how = "twice" if seen[key] == name else f"beside {seen[key]!r}, which differs only in upper and lower case"
            raise OgaError(f"{path.name} holds {name!r} {how}. Rename one of them.")
        seen[key] = name


def _check_total(path: Path, sizes: Iterable[int]) -> None:
    total = sum(sizes)
    if total > MAX_TOTAL_BYTES:
        raise OgaError(f"{path.name} states {total:,} bytes in all; at most {MAX_TOTAL_BYTES:,} are read.")


def _too_many(path: Path) -> OgaError:
    return OgaError(f"{path.name} has more than {MAX_ENTRIES:,} files, the most that is read. Split it.")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
