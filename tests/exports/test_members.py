"""Every writer stays inside its target: no name that leaves it, that some system cannot hold, or that hides another."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from oga_core.errors import OgaError
from oga_core.exports.members import Member, write_folder, write_tar, write_zip

WRITERS: dict[str, Callable[[Path, Iterable[Member]], None]] = {
    "out": write_folder,
    "out.zip": write_zip,
    "out.tar": write_tar,
    "out.tar.gz": write_tar,
}
BAD_NAMES = {
    "parent": "../x",
    "parents": "a/../../x",
    "absolute": "OUTSIDE",
    "network": "//host/share/x",
    "drive": "C:/x",
    "drive without a folder": "c:x",
    "backslash": "a\\x",
    "backslash parent": "..\\x",
    "this folder": "./x",
    "empty": "",
    "empty part": "a//x",
    "folder": "a/",
    "NUL": "a/x\0.png",
    "line end": "a/x\n.png",
    "escape": "a/\x1b[2Jx",
    "C1 control": "a/x\x85",
    "right to left override": "a/x\u202egnp.exe",
    "half a pair": "a/\ud800",
    "device": "a/NUL",
    "device with ending": "con.png",
    "device folder": "aux/x.png",
    "numbered device": "COM1.txt",
    "superscript device": "lpt\u00b9.txt",
    "device with spaces": "prn .txt",
    "trailing dot": "a./x.png",
    "trailing space": "a /x.png",
    "trailing dots": "a/x...",
    "hidden": "a/.x",
    "repository": ".git/hooks/post-checkout",
    "large file storage": ".lfsconfig",
    "system file": "a/Thumbs.db",
    "long part": "a/" + "x" * 256,
    "long part in bytes": "a/" + "\u00e9" * 128,
    "long path": "/".join(["abcdefgh"] * 200),
}
PAIRS = {
    "same": ("a/x.png", "a/x.png"),
    "case": ("a/x.png", "A/X.png"),
    "normalisation": ("a/caf\u00e9.png", "a/cafe\u0301.png"),
    "sharp s": ("a/stra\u00dfe", "a/STRASSE"),
    "file and folder": ("a/x", "a/x/y.png"),
    "folder and file": ("a/x/y.png", "A/X"),
}
GOOD_NAMES = [
    "x",
    "a b/x (1).png",
    "a/\u00e9t\u00e9 \U0001f642.png",
    "con\u00e7u/nullable.png",
    "a/" + "x" * 255,
    "a/x:y",
]


@pytest.fixture(params=WRITERS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    (tmp_path / "inside").mkdir()
    return tmp_path / "inside" / request.param


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
def test_an_unsafe_name_is_refused_and_nothing_is_left(name: str, target: Path) -> None:
    name = name.replace("OUTSIDE", str(target.parents[1] / "outside"))
    with pytest.raises(OgaError, match="cannot be the name of a file in an export"):
        WRITERS[target.name](target, [("a/first.png", b"1"), (name, b"2")])
    assert not target.exists()
    assert files_in(target.parents[1]) == []


@pytest.mark.parametrize("names", PAIRS.values(), ids=PAIRS)
def test_no_file_hides_another(names: tuple[str, str], target: Path) -> None:
    with pytest.raises(OgaError, match="would be one file on some systems"):
        WRITERS[target.name](target, [(name, name.encode()) for name in names])
    assert files_in(target.parents[1]) == []


def test_every_other_name_is_written(target: Path) -> None:
    WRITERS[target.name](target, [(name, name.encode()) for name in GOOD_NAMES])
    if target.is_dir():
        contents = {path.relative_to(target).as_posix(): path.read_bytes() for path in files_in(target)}
    elif zipfile.is_zipfile(target):
        with zipfile.ZipFile(target) as archive:
            contents = {name: archive.read(name) for name in archive.namelist()}
    else:
        with tarfile.open(target) as tar:
            contents = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    assert contents == {name: name.encode() for name in GOOD_NAMES}
