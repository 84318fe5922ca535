"""Write folders, zips and tars whole and only inside: every name is checked, whatever it was made from."""

from __future__ import annotations

import io
import os
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import IO

from oga_core.errors import OgaError
from oga_core.files import temporary_folder, write_whole
from oga_core.readers.archives.archive import is_junk
from oga_core.readers.archives.names import folded, leaves_folder

Member = tuple[str, bytes]

MAX_PART_BYTES = 255  # of Linux, macOS and Windows file systems alike
MAX_NAME_BYTES = 1_000  # macOS opens paths of at most 1,024 bytes
# Windows opens a device under these names, whatever the ending; see "Naming files" in its documentation.
_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])\s*(\..*)?", re.IGNORECASE)
_DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069]")  # a name is then read in another order than it is written


def folder_of_class(label: str) -> str:
    """Return a class name as the name of a folder; raises `OgaError` where it cannot be one."""
    fault = "it is not one name, but a path" if "/" in label else name_fault(label)
    if fault:
        raise OgaError(
            f"The class {_short(label)} cannot be the name of a folder: {fault}. Export a table, such as csv, instead."
        )
    return label


def name_fault(name: str) -> str:
    """Return why a file of an export must not have this name, with forward slashes; empty where it may."""
    if leaves_folder(name):
        return "it leads out of the export, or holds control characters"
    if "\\" in name or name[1:2] == ":":
        return "Windows takes it for a path"
    if _DIRECTIONS.search(name):
        return "it holds characters that reverse its order"
    if len(name.encode()) > MAX_NAME_BYTES:
        return f"it is longer than {MAX_NAME_BYTES:,} bytes"
    return next(filter(None, map(_part_fault, name.split("/"))), "")


def _part_fault(part: str) -> str:
    if part in ("", "."):
        return "a part of it is empty"
    if is_junk(part):
        return f"{part!r} is hidden or belongs to a system"
    if part.endswith((" ", ".")):
        return "a part of it ends in a space or point, which Windows drops"
    if _DEVICES.fullmatch(part):
        return f"{part!r} is a device on Windows"
    if len(part.encode()) > MAX_PART_BYTES:
        return f"a part of it is longer than {MAX_PART_BYTES} bytes"
    return ""


def checked(members: Iterable[Member]) -> Iterator[Member]:
    """Yield the members; raises `OgaError` at the first whose name is unsafe or hides another."""
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for name, content in members:
        if fault := name_fault(name):
            raise OgaError(f"{_short(name)} cannot be the name of a file in an export: {fault}. Rename it in the data.")
        parts = folded(name).split("/")
        parents = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
        for other in [files.get(key) for key in (folded(name), *parents)] + [folders.get(folded(name))]:
            if other is not None:
                raise OgaError(f"{name!r} and {other!r} would be one file on some systems. Rename one in the data.")
        files[folded(name)] = name
        folders.update(dict.fromkeys(parents, name))
        yield name, content


def _short(name: str) -> str:
    return f"{name[:100]!a}{'…' if len(name) > 100 else ''}"


def with_ending(out: Path, suffix: str) -> Path:
    """Return `out`, with an ending where it has none."""
    return out if out.suffix else out.with_name(out.name + suffix)


def write_file(out: Path, suffix: str, write: Callable[[IO[bytes]], None]) -> Path:
    """Write one file whole and return its path: `out`, with the ending `suffix` where it has none."""

    def write_to(path: Path) -> None:
        with path.open("wb") as file:
            write(file)

    target = with_ending(out, suffix)
    write_whole(target, write_to)
    return target


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Give a temporary folder that becomes `out` when all went well; refuses an `out` that holds something."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise OgaError(f"{out} exists already. Give a new or empty folder, so that nothing is overwritten.")
    with temporary_folder(out) as temporary:
        yield temporary
        if out.exists():
            out.rmdir()
        os.rename(temporary, out)


def write_members(out: Path, members: Iterable[Member]) -> Path:
    """Write members as a folder, or as a zip where `out` ends so, and return `out`."""
    (write_zip if out.suffix.casefold() == ".zip" else write_folder)(out, members)
    return out


def write_folder(out: Path, members: Iterable[Member]) -> None:
    """Write members as files of a folder."""
    with whole_folder(out) as folder:
        for name, content in checked(members):
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)


def write_zip(out: Path, members: Iterable[Member]) -> None:
    """Write members as a zip; what is compressed in itself is stored."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in checked(members):
                info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
                info.external_attr = 0o644 << 16
                is_packed = name.casefold().endswith((".jpg", ".jpeg", ".png", ".webp", ".gif"))
                archive.writestr(info, content, zipfile.ZIP_STORED if is_packed else zipfile.ZIP_DEFLATED)

    write_whole(out, write)


def write_shards(out: Path, members: Iterable[tuple[str, Member]]) -> None:
    """Write a folder of tar files from members with the shard that each belongs to, those of one shard together."""
    with whole_folder(out) as folder:
        for shard, group in groupby(members, key=lambda pair: pair[0]):
            (folder / shard).parent.mkdir(parents=True, exist_ok=True)
            write_tar(folder / f"{shard}.tar", (member for _, member in group))


def write_tar(out: Path, members: Iterable[Member]) -> None:
    """Write members as a tar, compressed as the name says."""
    mode = next((f"w:{kind}" for kind in ("gz", "bz2", "xz") if out.name.endswith(f".{kind}")), "w:")
    mode = "w:gz" if out.name.endswith(".tgz") else mode

    def write(path: Path) -> None:
        with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
            for name, content in checked(members):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))

    write_whole(out, write)
