"""A zip file as an archive, checked against bombs, overlaps and hostile names when opened."""

from __future__ import annotations

import os
import stat
import threading
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from oga_core.errors import OgaError
from oga_core.readers.archives.archive import (
    MAX_ENTRIES,
    MAX_MEMBER_BYTES,
    MAX_RATIO,
    RATIO_FREE_BYTES,
    PackedArchive,
    check_name,
    is_junk,
    too_many,
)

_MAPPED_BYTES = 16 << 20
"""Smaller members are read at once; of larger ones only what is asked for comes into memory."""
_CHECKED_AT_ONCE = 1 << 20


class Zip(PackedArchive):
    """A zip file: stored and deflated members, checked against bombs, overlaps and hostile names when opened."""

    def __init__(self, path: Path):
        _check_directory_size(path)
        self._file = path.open("rb")
        self._lock = threading.Lock()
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, EOFError) as error:
            raise OgaError(f"{path.name} is not a readable zip file: {error}. Make it again.") from None
        infos = self._zip.infolist()
        if len(infos) > MAX_ENTRIES:
            raise too_many(path)
        _check_overlaps(path, infos)
        for info in infos:
            check_name(path, info.orig_filename.rstrip("/") or "/")
        members = [info for info in infos if not (info.is_dir() or any(map(is_junk, info.filename.split("/"))))]
        for info in members:
            _check_zip_member(path, info)
        self._infos = {info.filename: info for info in members}
        super().__init__(path, [(info.filename, info.file_size) for info in members])

    def read(self, name: str, limit: int = MAX_MEMBER_BYTES) -> bytes:
        info = self._infos[name]
        if info.file_size > limit:
            raise self.too_large(name, limit)
        with self._lock:
            header = self._seek(info)
            packed = self._file.read(info.compress_size)
        try:
            data = packed if info.compress_type == zipfile.ZIP_STORED else _inflated(packed, info.file_size)
        except zlib.error as error:
            raise OgaError(f"{name} in {self.path.name} is damaged: {error}.") from None
        if not header.startswith(b"PK\x03\x04") or len(data) != info.file_size or zlib.crc32(data) != info.CRC:
            raise self._altered(name)
        return data

    def mapped_from(self, name: str) -> int | None:
        info = self._infos[name]
        if info.compress_type != zipfile.ZIP_STORED or info.file_size < _MAPPED_BYTES:
            return None
        with self._lock:
            header = self._seek(info)
            place = self._file.tell()
            checksum = 0
            for start in range(0, info.file_size, _CHECKED_AT_ONCE):
                checksum = zlib.crc32(self._file.read(min(_CHECKED_AT_ONCE, info.file_size - start)), checksum)
        if not header.startswith(b"PK\x03\x04") or checksum != info.CRC:
            raise self._altered(name)
        return place

    def _seek(self, info: zipfile.ZipInfo) -> bytes:
        """Go to the beginning of a member's content; return its header."""
        self._file.seek(info.header_offset)
        header = self._file.read(30)
        self._file.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), 1)
        return header

    def _altered(self, name: str) -> OgaError:
        return OgaError(f"{name} in {self.path.name} is damaged: its content is not what the archive states.")

    def _open(self, name: str) -> IO[bytes]:
        return self._zip.open(self._infos[name])

    def stamps(self) -> Iterable[object]:
        return ((name, info.file_size, info.CRC) for name, info in self._infos.items())


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
        raise too_many(path)


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
