"""Data at an address: fetched once, resumed, held against what the store says, and refused in words."""

import argparse
import hashlib
import io
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from oga_app.commands import score
from oga_core.errors import OgaError
from oga_core.models.folders import is_model_file
from oga_core.remote import MANIFEST, fetching
from oga_core.remote.address import is_address, without_secrets
from oga_core.remote.fetching import LOCK, UNFINISHED, local
from oga_core.runs.folder import RunFolder

ROWS = b"id,label\n" + b"".join(b"%d,a\n" % number for number in range(500))


@pytest.fixture
def store():
    """An object store in memory; what is read of it is counted."""
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/bucket", recursive=True)


@pytest.fixture
def reads(monkeypatch):
    """Addresses that are opened for reading, in their order."""
    opened = []
    original = MemoryFileSystem._open

    def counted(self, path, mode="rb", **options):
        if mode == "rb":
            opened.append(path)
        return original(self, path, mode, **options)

    monkeypatch.setattr(MemoryFileSystem, "_open", counted)
    return opened


def fetch(address, run, **options):
    return local(address, run, lambda event: None, **options)


def test_a_path_stays_what_it_is(tmp_path):
    assert fetch(tmp_path / "rows.csv", None) == tmp_path / "rows.csv"
    assert [is_address(text) for text in ("s3://b/a.csv", "C:\\data", "rows.csv", tmp_path)] == [
        True,
        False,
        False,
        False,
    ]


def test_a_file_is_fetched_once_until_it_changes(tmp_path, store, reads):
    store.pipe("/bucket/rows.csv", ROWS)
    path = fetch("memory://bucket/rows.csv", tmp_path)
    assert path.name == "rows.csv"
    assert path.is_relative_to(tmp_path)
    assert path.read_bytes() == ROWS
    assert fetch("memory://bucket/rows.csv", tmp_path) == path
    assert len(reads) == 1
    store.pipe("/bucket/rows.csv", ROWS + b"500,b\n")
    assert fetch("memory://bucket/rows.csv", tmp_path).read_bytes() == ROWS + b"500,b\n"
    assert len(reads) == 2


def test_the_run_folder_is_still_new_when_data_were_fetched_into_it(tmp_path, store):
    store.pipe("/bucket/rows.csv", ROWS)
    fetch("memory://bucket/rows.csv", tmp_path / "run")
    RunFolder.create(tmp_path / "run")
    (tmp_path / "other" / "data" / "mine").mkdir(parents=True)
    with pytest.raises(OgaError, match="not empty and is not a run"):
        RunFolder.create(tmp_path / "other")


def test_a_folder_keeps_its_places(tmp_path, store):
    for name in ("cat/1.png", "dog/1.png", "dog/old/2.png"):
        store.pipe(f"/bucket/photos/{name}", name.encode())
    path = fetch("memory://bucket/photos", tmp_path)
    files = {str(file.relative_to(path)): file.read_text() for file in path.rglob("*.png")}
    assert files == {name: name for name in ("cat/1.png", "dog/1.png", "dog/old/2.png")}


def test_what_broke_off_goes_on_where_it_stopped(tmp_path, store, monkeypatch):
    store.pipe("/bucket/rows.csv", ROWS)
    monkeypatch.setattr(fetching, "_BLOCK", 1000)

    def broken(event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        local("memory://bucket/rows.csv", tmp_path, broken)
    [part] = tmp_path.rglob(f"{UNFINISHED}/rows.csv")
    begun = part.stat().st_size
    assert 0 < begun < len(ROWS)
    places = []
    original = io.BytesIO.seek
    monkeypatch.setattr(
        "fsspec.implementations.memory.MemoryFile.seek",
        lambda self, place, *more: (places.append(place), original(self, place, *more))[1],
        raising=False,
    )
    assert fetch("memory://bucket/rows.csv", tmp_path).read_bytes() == ROWS
    assert begun in places
    assert not list(tmp_path.rglob(f"{UNFINISHED}/*"))


def test_more_than_may_be_fetched_is_refused_before(tmp_path, store, reads):
    store.pipe("/bucket/rows.csv", ROWS)
    with pytest.raises(OgaError, match=r"GB are still to be fetched.*--fetch-gb"):
        fetch("memory://bucket/rows.csv", tmp_path, most_bytes=100)
    assert reads == []


def test_a_file_whose_size_is_not_told_ends_where_the_room_does(tmp_path, store, monkeypatch):
    store.pipe("/bucket/rows.csv", ROWS)
    told = MemoryFileSystem.info
    monkeypatch.setattr(MemoryFileSystem, "info", lambda self, path, **options: told(self, path) | {"size": None})
    with pytest.raises(OgaError, match=r"With rows\.csv there are more than the 0\.0 GB that may be fetched"):
        fetch("memory://bucket/rows.csv", tmp_path, most_bytes=100)
    assert fetch("memory://bucket/rows.csv", tmp_path, most_bytes=len(ROWS)).read_bytes() == ROWS


def test_a_file_named_as_one_that_is_not_whole_is_a_file_like_others(tmp_path, store, monkeypatch):
    monkeypatch.setattr(fetching, "_VERSIONS", ())  # a store that tells sizes alone
    contents = {"rows.csv": b"id,label\n1,cat\n", "rows.csv.unfinished": b"id,label\n1,dog\n"}
    for name, content in contents.items():
        store.pipe(f"/bucket/tables/{name}", content)
    for _ in range(2):
        path = fetch("memory://bucket/tables", tmp_path)
        assert {name: (path / name).read_bytes() for name in contents} == contents
        (path / "rows.csv").unlink()


@pytest.mark.parametrize("name", [MANIFEST, LOCK, UNFINISHED])
def test_a_name_that_the_copy_needs_itself_is_refused(name, tmp_path, store):
    store.pipe(f"/bucket/{name}", ROWS)
    with pytest.raises(OgaError, match="is taken beside the copy"):
        fetch(f"memory://bucket/{name}", tmp_path)


def test_a_copy_that_is_not_what_the_store_holds_is_refused(tmp_path, store, monkeypatch):
    store.pipe("/bucket/rows.csv", ROWS)
    original = MemoryFileSystem.info
    etag = {"value": hashlib.md5(b"something else").hexdigest()}
    monkeypatch.setattr(
        MemoryFileSystem, "info", lambda self, path, **_: {**original(self, path), "ETag": etag["value"]}
    )
    with pytest.raises(OgaError, match="not those of the store"):
        fetch("memory://bucket/rows.csv", tmp_path)
    assert not list(tmp_path.rglob("rows.csv*"))
    etag["value"] = hashlib.md5(ROWS).hexdigest()
    assert fetch("memory://bucket/rows.csv", tmp_path).read_bytes() == ROWS


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("memory://bucket/none.csv", "There is nothing at memory://bucket/none.csv"),
        ("nowhere://bucket/a.csv", "cannot be opened"),
        ("zip://a.csv::memory://b.zip", "chains addresses"),
        ("dropbox://bucket/a.csv", "needs a package that is not installed"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, address, words):
    with pytest.raises(OgaError, match=words):
        fetch(address, tmp_path)


def test_without_fsspec_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(OgaError, match=r"pip install 'oga\[remote\]'"):
        fetch("s3://bucket/rows.csv", tmp_path)


def test_names_do_not_leave_the_copy(tmp_path, store, monkeypatch):
    store.pipe("/bucket/photos/a.png", b"a")
    entry = {"/bucket/photos/../../../a.png": {"size": 1, "type": "file"}}
    monkeypatch.setattr(MemoryFileSystem, "find", lambda self, path, **_: entry)
    with pytest.raises(OgaError, match="outside of the copy"):
        fetch("memory://bucket/photos", tmp_path)


def test_keys_in_an_address_are_not_written_down(tmp_path):
    shown = without_secrets("https://me:secret@host/a.csv?X-Amz-Signature=secret")
    assert shown == "https://host/a.csv"


def test_the_web_is_read(tmp_path):
    pytest.importorskip("aiohttp")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "rows.csv").write_bytes(ROWS)
    handler = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(tmp_path / "site")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        path = fetch(f"http://127.0.0.1:{server.server_port}/rows.csv?key=1", tmp_path / "run")
    finally:
        server.shutdown()
        server.server_close()
    assert path.name == "rows.csv"
    assert path.read_bytes() == ROWS
    assert "key" not in next((tmp_path / "run").rglob(MANIFEST)).read_text()


def test_a_model_comes_with_its_card_and_a_folder_of_one_without_what_no_model_needs(tmp_path, store, reads):
    card, weights = b'{"classes": ["a", "b"]}', b"weights"
    store.pipe({"/bucket/net.pt2": weights, "/bucket/net.json": card, "/bucket/bare.pt2": weights})
    path = fetch("memory://bucket/net.pt2", tmp_path, with_card=True)
    assert path.with_suffix(".json").read_bytes() == card
    assert not fetch("memory://bucket/bare.pt2", tmp_path, with_card=True).with_suffix(".json").exists()
    store.pipe({f"/bucket/hub/{name}": weights for name in ("config.json", "model.safetensors", "tf_model.h5")})
    folder = fetch("memory://bucket/hub", tmp_path, with_card=True, wanted=is_model_file)
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "model.safetensors"]
    store.pipe("/bucket/other/tf_model.h5", weights)
    with pytest.raises(OgaError, match="None of the files in it is one of a model"):
        fetch("memory://bucket/other", tmp_path, wanted=is_model_file)


def test_every_file_that_the_command_names_may_lie_elsewhere(tmp_path, store):
    names = ("rows.csv", "net.pt2", "net.json", "labels.csv", "clean.csv", "early.safetensors", "card.json")
    store.pipe({f"/bucket/{name}": name.encode() for name in names})
    store.pipe("/bucket/base/model.safetensors", b"base")
    parser = argparse.ArgumentParser()
    score.add_arguments(parser)
    given = {"--model": "net.pt2", "--labels": "labels.csv", "--validation": "clean.csv"}
    given |= {"--checkpoints": "early.safetensors", "--model-card": "card.json", "--reference": "base"}
    words = [word for flag, name in given.items() for word in (flag, f"memory://bucket/{name}")]
    options = parser.parse_args(["memory://bucket/rows.csv", "--run", str(tmp_path), *words])
    choices = score._fetched(options)
    here = (options.data, options.model, choices.labels, choices.validation, *choices.checkpoints, choices.model_card)
    assert [Path(path).read_text() for path in here] == [name for name in names if name != "net.json"]
    assert (tmp_path / choices.reference / "model.safetensors").read_bytes() == b"base"
    plain = parser.parse_args([str(options.data), "--run", str(tmp_path), "--model", str(options.model)])
    assert score._fetched(plain).labels is None
    assert (plain.data, plain.model) == (options.data, options.model)
