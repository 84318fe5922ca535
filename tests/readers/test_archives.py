"""Folder, zip and tar as one kind of thing: names, bytes, and what must not be read."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from reader_sets import write_folder, write_tar, write_zip

from oga_core.errors import OgaError
from oga_core.readers import read_samples
from oga_core.readers.archives import Archive, archive, open_archive, tar_file, zip_file
from oga_core.readers.archives.archive import check_name, is_junk, suffix_of

Write = Callable[[Path, dict[str, bytes | str]], Path]
MEMBERS: dict[str, bytes | str] = {"b/2.txt": "second", "a.txt": "first one", ".hidden": "x", "__MACOSX/a.txt": "x"}


@pytest.fixture(params=[write_folder, write_zip, write_tar])
def write(request: pytest.FixtureRequest) -> Write:
    return request.param


def opened(write: Write, tmp_path: Path, members: dict[str, bytes | str] = MEMBERS) -> Archive:
    tmp_path.mkdir(exist_ok=True)
    return open_archive(write(tmp_path / "set", dict(members)))


def test_members_are_listed_without_what_systems_leave_behind(write: Write, tmp_path: Path) -> None:
    members = opened(write, tmp_path)
    assert sorted(members.names) == ["a.txt", "b/2.txt"]
    assert members.sizes == {"a.txt": 9, "b/2.txt": 6}
    assert members.has("a.txt")
    assert not members.has(".hidden")


def test_a_member_is_read_whole_or_its_beginning_or_not_at_all(write: Write, tmp_path: Path) -> None:
    members = opened(write, tmp_path)
    assert members.read("a.txt") == b"first one"
    assert members.read("a.txt", limit=9) == b"first one"
    assert members.head("a.txt", 5) == b"first"
    with pytest.raises(OgaError, match=r"a\.txt in set is larger than 8 bytes, the most that is read"):
        members.read("a.txt", limit=8)


def test_other_content_has_other_stamps(write: Write, tmp_path: Path) -> None:
    before = list(opened(write, tmp_path / "one").stamps())
    assert list(opened(write, tmp_path / "two", MEMBERS | {"a.txt": "first ones"}).stamps()) != before


@pytest.fixture(params=[write_zip, write_tar])
def pack(request: pytest.FixtureRequest) -> Write:
    return request.param


def test_names_that_a_file_system_takes_for_one_are_refused(pack: Write, tmp_path: Path) -> None:
    with pytest.raises(OgaError, match=r"holds 'A\.txt' beside 'a\.txt', which differs only in upper and lower case"):
        opened(pack, tmp_path, {"a.txt": "x", "A.txt": "y"})


def test_a_member_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(tmp_path / "set", "w") as file:
            file.writestr("a.txt", "x")
            file.writestr("a.txt", "y")
    with pytest.raises(OgaError, match=r"set holds 'a\.txt' twice\. Rename one of them"):
        open_archive(tmp_path / "set")


def test_more_bytes_than_are_read_are_refused(pack: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 14)
    with pytest.raises(OgaError, match=r"set states 15 bytes in all; at most 14 are read"):
        opened(pack, tmp_path)
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 15)
    assert opened(pack, tmp_path / "again").sizes["a.txt"] == 9


def test_more_members_than_are_listed_are_refused(pack: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (tar_file, zip_file):
        monkeypatch.setattr(module, "MAX_ENTRIES", 3)
    with pytest.raises(OgaError, match=r"set has more than [\d,]+ files, the most that is read\. Split it"):
        opened(pack, tmp_path)


@pytest.mark.parametrize("name", ["../a", "a/../b", "/a", "a//b", "C:/a", "a\\b", "./a"])
def test_a_name_that_leads_out_is_unsafe(name: str) -> None:
    with pytest.raises(OgaError, match="unsafe name"):
        check_name(Path("set.zip"), name)


@pytest.mark.parametrize("name", ["a.zip", "b/c.TAR", "d.tar.gz"])
def test_an_archive_inside_is_refused(name: str) -> None:
    with pytest.raises(OgaError, match="holds another archive"):
        check_name(Path("set.zip"), name)


def test_usual_names_are_neither() -> None:
    for name in ("a", "a/b.png", "ä ö/ü.txt", "a..b", "…"):
        check_name(Path("set.zip"), name)
        assert not is_junk(name.split("/")[0])
    assert all(map(is_junk, (".git", "Thumbs.db", "__MACOSX", "Icon\r")))
    assert [suffix_of(name) for name in ("a.PNG", "a", "a.tar.gz", ".x")] == [".png", "", ".gz", ""]


def test_rows_of_a_folder_of_tars_open_only_the_tars_that_they_lie_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tar_file, "_OPEN_AT_ONCE", 2)
    for number in range(4):
        members = {f"{row}.{kind}": f"{kind} {number}{row}" for row in range(3) for kind in ("txt", "cls")}
        write_tar(tmp_path / f"part-{number}.tar", members)
    samples = read_samples(tmp_path)
    shards = samples.inputs._archive._shards.values()
    opened = []
    reopen = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *more: (opened.append(path.name), reopen(path, *more))[1])
    for tar in shards:
        tar.close()
    assert [samples.inputs[row] for row in (6, 7, 9)] == ["txt 20", "txt 21", "txt 30"]
    assert opened == ["part-2.tar", "part-3.tar"]
    assert [samples.inputs[row] for row in (0, 6)] == ["txt 00", "txt 20"]
    assert sum(not tar._file.closed for tar in shards) == 2
