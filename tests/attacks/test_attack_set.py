"""The command that tries every hostile file counts what happens, and finds nothing wrong in a part of the set."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import attack_process
import pytest
from attack_process import Attack, Outcome, tried

from oga_core.errors import OgaError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the attacks fork, and set the limits of Linux")


def refuse(path: Path) -> None:
    raise OgaError("No.")


def write_marker(path: Path) -> None:
    (path.parents[1] / "marker").touch()


def write_outside(path: Path) -> None:
    (path.parents[1] / "home").mkdir(exist_ok=True)
    (path.parents[1] / "home" / ".bashrc").write_text("evil")


def outcome_of(tmp_path: Path, use: Callable[[Path], object], must_be_refused: bool = True) -> Outcome:
    return tried(Attack("attack", lambda folder, marker: folder / "file", use, must_be_refused), tmp_path)


def test_a_refusal_is_what_should_be(tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path, refuse)
    assert (outcome.end, outcome.message, outcome.is_expected) == ("refused", "No.", True)
    assert not outcome.ran
    assert outcome.outside == ()


def test_what_is_read_and_should_not_is_not_expected(tmp_path: Path) -> None:
    assert not outcome_of(tmp_path, lambda path: None).is_expected
    assert outcome_of(tmp_path, lambda path: None, must_be_refused=False).is_expected


def test_a_payload_and_a_file_outside_are_seen(tmp_path: Path) -> None:
    assert outcome_of(tmp_path, write_marker).ran
    assert outcome_of(tmp_path, write_outside).outside == (str(tmp_path / "home" / ".bashrc"),)


def test_other_errors_and_crashes_are_faults(tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path, lambda path: {}["x"])
    assert (outcome.end, outcome.is_expected) == ("fault", False)
    assert outcome.message.startswith("KeyError")
    crash = outcome_of(tmp_path, lambda path: os.kill(os.getpid(), signal.SIGSEGV))
    assert (crash.end, crash.message) == ("fault", "ended by SIGSEGV")


def test_what_takes_too_much_is_ended_by_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attack_process, "SECONDS", 1)
    assert outcome_of(tmp_path, lambda path: time.sleep(60)).end == "limit"
    assert outcome_of(tmp_path, lambda path: bytes(64 << 30)).end == "limit"


def test_the_command_counts_a_part_of_the_set() -> None:
    words = ["data: zip_traversal", "folder_symlink", "npz_objects", "json_one_object", "image_eps", "safetensors_good"]
    command = [sys.executable, str(Path(__file__).parent), "--json", "--only", *words, "pt2: sample_inputs"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    counts = json.loads(result.stdout)
    assert result.returncode == 0, counts["failures"]
    assert counts["tried"] == 8
    assert counts["refused"] == 6
    assert counts["harmless"] == 2
    assert [counts[name] for name in ("payloads", "files_outside", "untyped_faults")] == [0, 0, 0]
