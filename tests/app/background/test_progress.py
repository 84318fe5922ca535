"""The line and the file that say how far a command is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oga_app.background import progress
from oga_app.background.progress import ProgressLine, between, describe, duration, gigabytes


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in its one place."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def event(done: int, stage: str = "gradients") -> dict[str, object]:
    return {"stage": stage, "done": done, "total": 3}


def test_a_log_gets_the_beginning_and_the_end_of_a_stage(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    line = ProgressLine()
    for done in (1, 2, 3):
        line(event(done))
        clock[0] += 1
    line(event(0, "scores"))
    line.close()
    assert capsys.readouterr().err.splitlines() == ["gradients · 1 of 3", "gradients · 3 of 3", "scores · 0 of 3"]


def test_a_terminal_gets_one_line_twice_a_second_and_every_new_stage(
    clock: list[float], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True)
    line = ProgressLine()
    for seconds, shown in ((0.0, event(1)), (0.4, event(2)), (0.2, event(3)), (0.0, event(0, "scores"))):
        clock[0] += seconds
        line(shown)
    line.close()
    lines = capsys.readouterr().err.split("\r\x1b[K")
    assert lines == ["", "gradients · 1 of 3", "gradients · 3 of 3", "scores · 0 of 3", ""]


def test_the_dashboard_reads_the_same_from_a_file(clock: list[float], tmp_path: Path) -> None:
    line = ProgressLine(tmp_path / "progress.json")
    line(event(1))
    line(event(2))  # too soon
    written = json.loads((tmp_path / "progress.json").read_text())
    assert (written["stage"], written["done"], written["total"]) == ("gradients", 1, 3)
    assert written["time"] > 0
    ProgressLine(tmp_path / "gone" / "progress.json")(event(1))
    assert not (tmp_path / "gone").exists()


def test_progress_reads_like_a_sentence() -> None:
    state = {"run": "digits", "stage": "scores", "score": "oga", "done": 1200, "total": 5000, "seconds_left": 200}
    assert describe(state) == "digits · scores · oga · 1,200 of 5,000 · about 3 min left"
    assert describe({"stage": "gradients", "memory_mb": 1234.5}) == "gradients · about 1,234 MB of memory"
    assert describe({"stage": "read data", "total": 0}) == "read data"
    assert [duration(seconds) for seconds in (0.2, 80, 5000, 8000)] == ["1 s", "80 s", "83 min", "2 h 13 min"]


def test_a_range_reads_like_one() -> None:
    pairs = ((180, 300), (20, 20.2), (20, 300), (4000, 8000), (0, 0.2))
    assert [between(*pair) for pair in pairs] == ["3 to 5 min", "20 s", "20 s to 5 min", "67 min to 2 h 13 min", "1 s"]
    assert [gigabytes(*pair) for pair in ((300, 520), (900, 2048), (7, 7))] == [
        "300 to 520 MB",
        "0.9 to 2.0 GB",
        "7 MB",
    ]
