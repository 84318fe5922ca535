"""From an address to a copy in the run folder: file by file, resumed where it broke off, never more than there is room.

Each file has its version (ETag or checksum of the store) in `fetched.json`; what has not changed is not fetched again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock

from oga_core.errors import OgaError
from oga_core.files import write_whole
from oga_core.remote import FOLDER, MANIFEST
from oga_core.remote.address import is_address, opened, without_secrets
from oga_core.worker.stages import Progress

LOCK = ".lock"
"""Held while a copy is made, so that two commands do not fetch the same."""
FREE_SHARE = 0.9
"""Of the free room of the disk that may be filled: the arrays of the run need some too."""
_MAKE_ROOM = "Make room on the disk of the run folder, allow more with --fetch-gb, or give a part of the data."
_BLOCK = 4 << 20
"""Bytes read at once: a few of them a second on a slow line, so that progress is seen."""
UNFINISHED = ".unfinished"
"""The folder beside a copy in which its files are until they are whole; no file of the copy can have its name."""
_VERSIONS = (
    "ETag",
    "etag",
    "md5Hash",
    "checksum",
    "crc32c",
    "sha256",
    "generation",
    "LastModified",
    "mtime",
    "created",
)
"""What stores call that which changes with a file, the surest first."""
_MD5 = re.compile(r"^[0-9a-f]{32}$")


@dataclass(frozen=True)
class RemoteFile:
    """One file to fetch: its path in the store and in the copy, its size in bytes where known, and its version."""

    source: str
    name: str
    size: int | None
    version: str


def local(
    data: Path | str,
    run: Path | None,
    progress: Progress,
    *,
    most_bytes: int | None = None,
    wanted: Callable[[PurePosixPath], bool] | None = None,
    with_card: bool = False,
) -> Path:
    """Return the path of data or a model, fetched into the run folder where they are an address.

    most_bytes: that may be fetched; nine tenths of the room on the disk where it is None. wanted: which files of a
    folder are fetched, by their places in it (all). with_card: whether the `.json` of the same name comes too.
    Raises `OgaError` where the data cannot be read, are larger than that, or came otherwise than the store says.
    """
    if not is_address(data):
        return Path(data)
    address = str(data)
    if run is None:
        raise OgaError(f"{without_secrets(address)} is fetched into the run folder. Give one with --run FOLDER.")
    place = run / FOLDER / hashlib.blake2b(without_secrets(address).encode(), digest_size=8).hexdigest()
    place.mkdir(parents=True, exist_ok=True)
    with _explained(address), FileLock(place / LOCK):
        system, root = opened(address)
        target, files = _listed(system, root, wanted)
        if with_card and (card := _card(system, root)) is not None:
            files.append(card)
        return _fetch(system, target, files, place, progress, most_bytes)


def _fetch(
    system: Any, target: str, files: list[RemoteFile], place: Path, progress: Progress, most_bytes: int | None
) -> Path:
    most = _refuse_large(files, place, most_bytes)
    versions = _versions(place)
    total = sum(file.size or 0 for file in files)
    done = 0
    for file in files:
        path = place / file.name
        if not (path.is_file() and versions.get(file.name) == file.version):
            for count in _stream(system, file, path, versions, place):
                _refuse_endless(file, done + count, most)
                progress({"stage": "fetch data, MB", "done": (done + count) >> 20, "total": max(total >> 20, 1)})
            versions[file.name] = file.version
            _write_versions(place, versions)
        done += path.stat().st_size
    return place / target


def _listed(system: Any, root: str, wanted: Callable[[PurePosixPath], bool] | None) -> tuple[str, list[RemoteFile]]:
    """The name of the copy, and the files to fetch; a folder's keep their places in it."""
    name = _name(root)
    about = system.info(root)
    if about["type"] != "directory":
        return name, [_remote(about, root, name)]
    found = system.find(root, detail=True)
    beginning = root.rstrip("/") + "/"
    places = {path: path.split(beginning, 1)[-1] for path in sorted(found)}
    files = [
        _remote(found[path], path, f"{name}/{inside}")
        for path, inside in places.items()
        if wanted is None or wanted(PurePosixPath(inside))
    ]
    if found and not files:
        raise OgaError("None of the files in it is one of a model: safetensors, config.json, tokenizer and the like.")
    if not files:
        raise OgaError("There are no files in it.")
    return name, files


def _name(root: str) -> str:
    return PurePosixPath(root.rstrip("/").split("?")[0]).name or "data"


def _card(system: Any, root: str) -> RemoteFile | None:
    """The file of JSON beside a model's, where there is one; a signed address is good for one file only."""
    name = PurePosixPath(_name(root)).with_suffix(".json").name
    source = f"{root.rpartition('/')[0]}/{name}"
    if "?" in root or source == root or not system.exists(source) or system.isdir(root):
        return None
    return _remote(system.info(source), source, name)


def _remote(about: dict[str, Any], source: str, name: str) -> RemoteFile:
    parts = PurePosixPath(name).parts
    if parts[:1] in ((MANIFEST,), (LOCK,), (UNFINISHED,)):
        raise OgaError(f"The name {name!r} is taken beside the copy. Rename the file there.")
    if ".." in parts or PurePosixPath(name).is_absolute() or "\\" in name:
        raise OgaError(f"It holds a file named {name!r}, which would lie outside of the copy. Rename it there.")
    size = about.get("size")
    version = next((f"{key} {about[key]}" for key in _VERSIONS if about.get(key)), f"size {size}")
    return RemoteFile(source, name, None if size is None else int(size), version)


def _refuse_large(files: list[RemoteFile], place: Path, most_bytes: int | None) -> int:
    """The bytes that the whole copy may have; raises `OgaError` where it is known that it needs more."""
    here = sum((place / file.name).stat().st_size for file in files if (place / file.name).is_file())
    needed = sum(file.size or 0 for file in files) - here
    room = max(int(FREE_SHARE * shutil.disk_usage(place).free) if most_bytes is None else most_bytes - here, 0)
    if needed > room:
        raise OgaError(f"{needed / 1e9:,.1f} GB are still to be fetched, and {room / 1e9:,.1f} GB may be. {_MAKE_ROOM}")
    return room + here


def _refuse_endless(file: RemoteFile, n_bytes: int, most: int) -> None:
    """Stop where a store that did not say a size, or said another, sends more than there is room for."""
    if n_bytes > most:
        raise OgaError(
            f"With {file.name} there are more than the {most / 1e9:,.1f} GB that may be fetched. {_MAKE_ROOM}"
        )


def _stream(system: Any, file: RemoteFile, path: Path, versions: dict[str, str], place: Path) -> Iterator[int]:
    """Fetch one file, from where an earlier try of the same version broke off; yields the bytes that are there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = f"{UNFINISHED}/{file.name}"
    part = place / name
    part.parent.mkdir(parents=True, exist_ok=True)
    known = versions.get(name) == file.version and part.is_file()
    done = part.stat().st_size if known else 0
    if not known:
        part.unlink(missing_ok=True)
        versions[name] = file.version
        _write_versions(place, versions)
    if file.size is None or done < file.size:
        with system.open(file.source, "rb") as source, part.open("ab") as target:
            if done:
                source.seek(done)
            while block := source.read(_BLOCK):
                target.write(block)
                done += len(block)
                yield done
    _check(file, part)
    part.replace(path)
    versions.pop(name, None)


def _check(file: RemoteFile, part: Path) -> None:
    """Raise `OgaError` where the copy is not what the store says it holds; it is fetched anew the next time."""
    part.touch()
    size = part.stat().st_size
    wrong = file.size is not None and size != file.size
    digest = file.version.removeprefix("ETag ").strip('"')
    if not wrong and file.version.startswith("ETag ") and _MD5.match(digest):  # of a file that was stored in one piece
        with part.open("rb") as content:
            wrong = hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() != digest
    if wrong:
        part.unlink()
        raise OgaError(
            f"{file.name} came with {size:,} bytes that are not those of the store, which may have changed meanwhile. "
            "Run the same again."
        )


def _versions(place: Path) -> dict[str, str]:
    try:
        content = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
        return {str(name): str(version) for name, version in content.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _write_versions(place: Path, versions: dict[str, str]) -> None:
    write_whole(place / MANIFEST, lambda path: path.write_text(json.dumps(versions), encoding="utf-8"))


@contextlib.contextmanager
def _explained(address: str) -> Iterator[None]:
    """Say what went wrong with which address; stores raise errors of their own, of many packages."""
    shown = without_secrets(address)
    try:
        yield
    except OgaError as error:
        text = str(error)
        raise OgaError(text if text.startswith(shown) or "://" in text else f"{shown}: {text}") from None
    except FileNotFoundError:
        raise OgaError(f"There is nothing at {shown}. Check the address.") from None
    except PermissionError:
        raise OgaError(f"{shown} may not be read with the credentials of this machine. Check them.") from None
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:  # of this machine's own disk
            raise
        reason = without_secrets(str(error).split("\n")[0][:200])
        raise OgaError(
            f"{shown} cannot be read: {type(error).__name__}: {reason}. Check address and network."
        ) from error
