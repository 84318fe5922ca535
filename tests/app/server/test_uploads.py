"""Who may upload, how much, and when it goes."""

import os
import subprocess
import sys
import uuid

import pytest

from oga_app.background import jobs
from oga_app.server.uploads import FOLDER, MAX_FILE_MB, Refusal, Room

MB = 1 << 20


@pytest.fixture
def room():
    made = Room(session_bytes=100, total_bytes=150)
    made.welcome("tab", "Ada")
    return made


def new():
    return str(uuid.uuid4())


def refused(status, call, *arguments):
    with pytest.raises(Refusal) as caught:
        call(*arguments)
    assert caught.value.status == status


@pytest.mark.parametrize(
    "name", ["..", "../..", "a", "", "%2e%2e", "A" * 36, "accounts.json", "06641d26-d63e-4ec0-b2e3-d3a0e1ce74e9/.."]
)
def test_a_name_of_the_clients_choice_is_refused(room, name):
    refused(400, room.admit, "tab", name, "Ada", "1")
    refused(400, room.remove, "tab", name, "Ada")


def test_only_a_session_that_shows_the_pages_may_upload(room):
    refused(403, room.admit, "other", new(), "Ada", "1")
    refused(403, room.admit, "tab", new(), "Bob", "1")
    refused(403, room.remove, "tab", new(), "Bob")
    room.admit("tab", new(), "Ada", "1")


@pytest.mark.parametrize("length", [None, "", "-1", "1e3", "x"])
def test_the_size_must_be_known_before(room, length):
    refused(411, room.admit, "tab", new(), "Ada", length)


def test_a_session_and_all_together_have_a_cap():
    room = Room(session_bytes=100, total_bytes=150)
    for session in ("a", "b", "c"):
        room.welcome(session, "")
    refused(413, room.admit, "a", new(), "", str(MAX_FILE_MB * MB + 1))
    room.admit("a", new(), "", "100")
    refused(413, room.admit, "a", new(), "", "1")
    room.admit("b", new(), "", "50")
    refused(507, room.admit, "c", new(), "", "1")


def test_room_comes_back_once_when_a_file_is_removed_or_does_not_arrive(room):
    lost, whole_file = new(), new()
    room.admit("tab", lost, "Ada", "90")
    refused(409, room.remove, "tab", lost, "Ada")
    room.arrived("tab", lost, whole=False)
    room.admit("tab", whole_file, "Ada", "90")
    room.arrived("tab", whole_file, whole=True)
    refused(409, room.admit, "tab", whole_file, "Ada", "1")
    refused(413, room.admit, "tab", new(), "Ada", "20")
    room.remove("tab", whole_file, "Ada")
    room.admit("tab", new(), "Ada", "100")


def test_files_of_an_ended_session_go_and_those_of_a_living_one_stay(tmp_path):
    now = [0.0]
    room = Room(clock=lambda: now[0])
    folders = {}
    for session in ("living", "ended"):
        room.welcome(session, "")
        folders[session] = room.folder(session, tmp_path / FOLDER)
        (folders[session] / "data.csv").write_text("a")
    for now[0] in (100.0, 200.0):
        ended = room.sweep(lambda session: session == "living")
    assert ended == ["ended"]
    assert folders["living"].is_dir()
    assert not folders["ended"].exists()
    room.close()
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_what_a_killed_server_left_goes_at_the_next_start_and_what_others_hold_stays(tmp_path):
    root = tmp_path / FOLDER
    script = (
        "import os, sys, pathlib; from oga_app.server.uploads import Room; room = Room()\n"
        f"print(room.folder('tab', pathlib.Path({str(root)!r})), flush=True); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    left = done.stdout.strip()
    assert os.path.isdir(left), done.stderr
    (root / "of-a-run").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text('{"data": {"path": ".uploads/of-a-run/data.csv"}}')
    first, second = Room(), Room()
    home = first.open(root)
    assert not os.path.exists(left)
    second.open(root)
    assert home.is_dir()
    assert (root / "of-a-run").is_dir()
    first.close()
    second.close()


def test_an_uploaded_file_lies_in_the_run_that_uses_it(tmp_path):
    room, run = Room(), tmp_path / "run"
    upload = room.folder("tab", tmp_path / FOLDER) / "data.csv"
    upload.write_text("id,label\n")
    (tmp_path / "elsewhere.csv").write_text("")
    place = jobs._taken(upload, run, "data")
    room.close()
    assert place == run / "uploads" / "data" / "data.csv"
    assert place.read_text() == "id,label\n"
    assert jobs._taken(tmp_path / "elsewhere.csv", run, "data") == tmp_path / "elsewhere.csv"
