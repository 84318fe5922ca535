"""Write folders, zips and tars whole: into a temporary place beside the target, then renamed."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from oga_core.errors import OgaError
from oga_core.files import write_whole

Member = tuple[str, bytes]


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Give a temporary folder that becomes `out` when all went well; refuses an `out` that holds something."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise OgaError(f"{out} exists already. Give a new or empty folder, so that nothing is overwritten.")
    temporary = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        yield temporary
        temporary.chmod(0o755)
        if out.exists():
            out.rmdir()
        os.rename(temporary, out)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def write_members(out: Path, members: Iterable[Member]) -> Path:
    """Write members as a folder, or as a zip where `out` ends so, and return `out`."""
    (write_zip if out.suffix.casefold() == ".zip" else write_folder)(out, members)
    return out


def write_folder(out: Path, members: Iterable[Member]) -> None:
    """Write members as files of a folder."""
    with whole_folder(out) as folder:
        for name, content in members:
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)


def write_zip(out: Path, members: Iterable[Member]) -> None:
    """Write members as a zip; what is compressed in itself is stored."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members:
                info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
                info.external_attr = 0o644 << 16
                is_packed = name.casefold().endswith((".jpg", ".jpeg", ".png", ".webp", ".gif"))
                archive.writestr(info, content, zipfile.ZIP_STORED if is_packed else zipfile.ZIP_DEFLATED)

    write_whole(out, write)


def write_tar(out: Path, members: Iterable[Member]) -> None:
    """Write members as a tar, compressed as the name says."""
    mode = next((f"w:{kind}" for kind in ("gz", "bz2", "xz") if out.name.endswith(f".{kind}")), "w:")
    mode = "w:gz" if out.name.endswith(".tgz") else mode

    def write(path: Path) -> None:
        with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
            for name, content in members:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))

    write_whole(out, write)
