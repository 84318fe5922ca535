"""A folder on this machine as an archive."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from oga_core.errors import OgaError
from oga_core.readers.archives.archive import MAX_ENTRIES, MAX_MEMBER_BYTES, Archive, is_junk, too_many
from oga_core.readers.archives.names import leaves_folder


class Folder(Archive):
    """A folder on this machine. A link is followed only to a file inside the folder."""

    def __init__(self, path: Path):
        self._root = path.resolve()
        self._modified = array("q")  # in the order of the names: a second table of millions of names fills the memory
        sizes: dict[str, int] = {}
        for name, size, modified in self._walk(self._root, ""):
            sizes[name] = size
            self._modified.append(modified)
            if len(sizes) > MAX_ENTRIES:
                raise too_many(path)
        super().__init__(path, sizes)

    def _walk(self, folder: Path, prefix: str) -> Iterator[tuple[str, int, int]]:
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            name = prefix + entry.name
            if is_junk(entry.name):
                continue
            if "\\" in name or leaves_folder(name):
                raise OgaError(f"{self._root.name} holds a file with an unsafe name: {name!a}. Rename it.")
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
            raise self.too_large(name, limit)
        return data

    def _open(self, name: str) -> IO[bytes]:
        return open(self._root / name, "rb")

    def stamps(self) -> Iterable[object]:
        return ((name, size, time) for (name, size), time in zip(self.sizes.items(), self._modified, strict=True))
