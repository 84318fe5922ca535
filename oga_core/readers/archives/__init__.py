"""One safe way to list and stream the members of a folder, zip or tar."""

from __future__ import annotations

from pathlib import Path

from oga_core.readers.archives.archive import Archive, is_zip
from oga_core.readers.archives.folder import Folder
from oga_core.readers.archives.tar_file import Tar, TarShards, is_sharded
from oga_core.readers.archives.zip_file import Zip

__all__ = ["Archive", "Folder", "Tar", "TarShards", "Zip", "is_zip", "open_archive"]


def open_archive(path: Path | str) -> Archive:
    """Open a folder, one of tar files, a zip or tar by its content; raises `OgaError` for what must not be read."""
    path = Path(path)
    if path.is_dir():
        folder = Folder(path)
        return TarShards(folder) if is_sharded(folder.names) else folder
    return Zip(path) if is_zip(path) else Tar(path)
