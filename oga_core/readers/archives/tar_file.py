"""A tar file as an archive, and a folder of them, the shards of a WebDataset, as one."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from oga_core.errors import OgaError
from oga_core.readers.archives.archive import (
    MAX_ENTRIES,
    MAX_MEMBER_BYTES,
    MAX_RATIO,
    RATIO_FREE_BYTES,
    Archive,
    PackedArchive,
    check_name,
    is_junk,
    too_many,
)

_BLOCK_BYTES = 1 << 20
ENDING = ".tar"
_BESIDE = (".json", ".jsonl", ".parquet", ".txt", ".md", ".csv")
"""What tools that make shards write beside them: statistics, tables, a file that says what it is."""
_OPEN_AT_ONCE = 16
"""Shards whose files are open: a pass in order needs one or two, and there may be thousands."""


class Tar(PackedArchive):
    """A tar file; a compressed one is first unpacked into one nameless temporary file, because it has no index."""

    def __init__(self, path: Path):
        self._file = _plain_tar(path)
        self._is_packed = self._file.name != str(path)
        self._lock = threading.Lock()
        members = list(self._members(path))
        self._offsets = {name: offset for name, offset, _ in members}
        super().__init__(path, [(name, size) for name, _, size in members])

    def _members(self, path: Path) -> Iterator[tuple[str, int, int]]:
        """Yield (name, offset, size) of every ordinary file; raises `OgaError` for members that must not be read."""
        end = self._file.seek(0, os.SEEK_END)
        self._file.seek(0)
        try:
            with tarfile.open(fileobj=self._file, mode="r:") as tar:
                for count, member in enumerate(tar):
                    tar.__dict__["members"] = []  # tarfile keeps every header otherwise
                    if count >= MAX_ENTRIES:
                        raise too_many(path)
                    name = member.name.removeprefix("./") or "."
                    if member.isdir() and name == ".":
                        continue
                    _check_tar_member(path, member, name)
                    if member.isdir() or any(map(is_junk, name.split("/"))):
                        continue
                    if member.offset_data + member.size > end:
                        raise OgaError(f"{path.name} ends in the middle of {name}. Copy or make the archive again.")
                    yield name, member.offset_data, member.size
        except (tarfile.TarError, ValueError, EOFError, OverflowError, RecursionError) as error:
            raise OgaError(f"{path.name} is not a readable tar file: {error}. Make it again.") from None

    def read(self, name: str, limit: int = MAX_MEMBER_BYTES) -> bytes:
        size = self.sizes[name]
        if size > limit:
            raise self.too_large(name, limit)
        with self._lock:
            if self._file.closed:
                self._file = self.path.open("rb")
            self._file.seek(self._offsets[name])
            data = self._file.read(size)
        if len(data) != size:
            raise OgaError(f"{name} in {self.path.name} is cut short: the archive changed while it was in use.")
        return data

    def close(self) -> None:
        """Close the file until something is read of it again; one that was unpacked stays."""
        with self._lock:
            if not self._is_packed:
                self._file.close()

    def _open(self, name: str) -> IO[bytes]:
        return io.BytesIO(self.read(name))

    def stamps(self) -> Iterable[object]:
        return ((name, self.sizes[name], self._offsets[name]) for name in self.names)


def is_sharded(names: Sequence[str]) -> bool:
    """Whether the files of a folder are tar files and what is written beside them."""
    has_shards = any(name.casefold().endswith(ENDING) for name in names)
    return has_shards and all(name.casefold().endswith((ENDING, *_BESIDE)) for name in names)


class TarShards(Archive):
    """The members of the tar files of a folder, named `<shard>/<member>`; a shard is open only while it is read."""

    def __init__(self, folder: Archive):
        self._folder = folder
        self._lock = threading.Lock()
        self._open_shards: OrderedDict[str, Tar] = OrderedDict()
        self._shards: dict[str, Tar] = {}
        sizes: dict[str, int] = {}
        for name in folder.names:
            if not name.casefold().endswith(ENDING):
                continue
            tar = Tar(folder.path / name)
            tar.close()
            shard = str(PurePosixPath(name).with_suffix(""))
            self._shards[shard] = tar
            sizes.update((f"{shard}/{member}", size) for member, size in tar.sizes.items())
            if len(sizes) > MAX_ENTRIES:
                raise too_many(folder.path)
        super().__init__(folder.path, sizes)

    def shard_of(self, name: str) -> tuple[str, str]:
        """Return the shard that a member lies in, by the name of its file without the ending, and its name there."""
        place = PurePosixPath(name)
        shard = next(str(parent) for parent in place.parents if str(parent) in self._shards)
        return shard, name.removeprefix(f"{shard}/")

    def read(self, name: str, limit: int = MAX_MEMBER_BYTES) -> bytes:
        if name not in self.sizes:
            raise KeyError(name)
        shard, member = self.shard_of(name)
        with self._lock:
            tar = self._shards[shard]
            self._open_shards[shard] = tar
            self._open_shards.move_to_end(shard)
            while len(self._open_shards) > _OPEN_AT_ONCE:
                self._open_shards.popitem(last=False)[1].close()
            return tar.read(member, limit)

    def _open(self, name: str) -> IO[bytes]:
        return io.BytesIO(self.read(name))

    def stamps(self) -> Iterable[object]:
        return self._folder.stamps()


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
            while block := file.read(_BLOCK_BYTES):
                yield block
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise OgaError(f"{path.name} is damaged: {error}. Copy or make the archive again.") from None


def _check_tar_member(path: Path, member: tarfile.TarInfo, name: str) -> None:
    check_name(path, name)
    if member.issym() or member.islnk():
        raise OgaError(f"{name!a} in {path.name} is a link. Put the file itself into the archive.")
    if not (member.isdir() or (member.isreg() and not member.issparse())):
        raise OgaError(f"{name!a} in {path.name} is not an ordinary file. Make the archive from ordinary files only.")
