"""Zip files that somebody uploaded: checked before anything is read, streamed member by member."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from oga_core.errors import OgaError

_MAX_ENTRIES = 20_000
_MAX_RATIO = 20  # weights hardly compress; a bomb reaches 1,000
_CHUNK = 1 << 20


@contextmanager
def open_zip(path: Path, *, stored_only: bool = False) -> Iterator[zipfile.ZipFile]:
    """Open a zip whose entries are plain: none encrypted, repeated, outside the archive or blown up.

    stored_only: refuse compressed entries, which the programs that write this format never make.
    Raises `OgaError`.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise OgaError(f"{path.name} is not a readable zip file: {error}. Save or zip it again.") from None
    with archive:
        _check_entries(path, archive.infolist(), stored_only)
        yield archive


def _check_entries(path: Path, entries: list[zipfile.ZipInfo], stored_only: bool) -> None:
    def refuse(what: str) -> OgaError:
        return OgaError(f"{path.name} is refused: {what}. Save or zip the model again.")

    if len(entries) > _MAX_ENTRIES:
        raise refuse(f"it has {len(entries)} entries, more than {_MAX_ENTRIES}")
    size = path.stat().st_size
    names = [entry.filename for entry in entries]
    if len({name.casefold() for name in names}) != len(names):
        raise refuse("two entries have the same name")
    for entry in entries:
        parts = PurePosixPath(entry.filename).parts
        if entry.filename.startswith("/") or ".." in parts or "\\" in entry.filename or ":" in entry.filename:
            raise refuse(f"the entry {entry.filename!r} points outside the archive")
        if entry.flag_bits & 0x1:
            raise refuse(f"the entry {entry.filename!r} is encrypted")
        if stored_only and (entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size):
            raise refuse(f"the entry {entry.filename!r} is compressed, which no program that saves such models does")
    total = sum(entry.file_size for entry in entries)
    if total > max(10 << 20, _MAX_RATIO * size):
        raise refuse(f"{size:,} bytes unpack to {total:,}")
    if sum(entry.compress_size for entry in entries) > size:
        raise refuse("its entries overlap")


@contextmanager
def unpacked(path: Path, wanted: Callable[[PurePosixPath], bool]) -> Iterator[Path]:
    """Stream the wanted members into a private temporary folder that is removed at the end.

    One folder around everything is taken off. Members become plain files, whatever the archive calls them.
    """
    with open_zip(path) as archive, TemporaryDirectory(prefix="oga-", ignore_cleanup_errors=True) as folder:
        files = [entry for entry in archive.infolist() if not entry.is_dir() and not _is_litter(entry.filename)]
        root = common_root([entry.filename for entry in files])
        for entry in files:
            relative = PurePosixPath(entry.filename).relative_to(root)
            if wanted(relative):
                _write(archive, entry, Path(folder, *relative.parts), path.name)
        yield Path(folder)


def common_root(names: list[str]) -> PurePosixPath:
    """Return the one folder that holds every name, or the empty path."""
    tops = {PurePosixPath(name).parts[0] for name in names if PurePosixPath(name).parts}
    nested = all(len(PurePosixPath(name).parts) > 1 for name in names)
    return PurePosixPath(tops.pop()) if len(tops) == 1 and nested else PurePosixPath()


def _is_litter(name: str) -> bool:
    return name.startswith("__MACOSX/") or PurePosixPath(name).name.startswith(".")


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, origin: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if entry.file_size > shutil.disk_usage(target.parent).free:
        raise OgaError(f"There is no room on the disk for {entry.filename!r} of {origin} ({entry.file_size:,} bytes).")
    try:
        with archive.open(entry) as source, target.open("xb") as sink:
            shutil.copyfileobj(source, sink, _CHUNK)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError) as error:
        raise OgaError(f"{origin} is damaged at {entry.filename!r}: {error}. Zip it again.") from None
