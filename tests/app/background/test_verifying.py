"""Retraining behind the page: it says how far it is, ends when it is cancelled, and why it failed."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from app_runs import image_run

from oga_app.background import verifying
from oga_core import retrain
from oga_core.errors import OgaError

SECONDS = 30


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return image_run(tmp_path_factory.mktemp("runs"), n=40).path


def ended(job: verifying.Verification) -> verifying.Verification:
    assert job.thread
    job.thread.join(SECONDS)
    assert not job.running
    return job


def test_progress_reaches_the_page_and_cancelling_reaches_the_training(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {}
    begun = threading.Event()

    def train(folder: object, *, progress: Any, cancelled: Any, **more: Any) -> None:
        options.update(more)
        progress({"stage": "retraining", "done": 1, "total": 4})
        begun.set()
        while not cancelled():
            pass
        raise OgaError("Cancelled.")

    monkeypatch.setattr(retrain, "verify", train)
    job = verifying.start(run, seeds=2, depth="head")
    assert begun.wait(SECONDS)
    assert job.running
    assert job.event == {"stage": "retraining", "done": 1, "total": 4}
    job.cancelled.set()
    assert ended(job).error == "Cancelled."
    assert options == {"seeds": 2, "depth": "head"}


def test_what_the_person_can_correct_is_told_in_its_words(run: Path) -> None:
    job = ended(verifying.start(run, depth="half"))
    assert job.error.startswith("Unknown depth 'half'. Choose one of: head, all")


def test_a_fault_of_ours_is_one_sentence_and_no_traceback(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrain, "verify", lambda *arguments, **options: 1 / 0)
    error = ended(verifying.start(run)).error
    assert error == ("Retraining failed, which is a fault in oga: ZeroDivisionError. The server's log has the details.")


def test_the_last_result_is_read_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    assert verifying.result(tmp_path) is None
    whole = {"verdict": "better", "arms": {}, "warnings": [], "seconds": 1.5}
    (tmp_path / "verify.json").write_text(json.dumps(whole))
    assert verifying.result(tmp_path) == whole
    for damaged in ("{", "[1]", "{}", json.dumps({**whole, "arms": {"trimmed": {}}})):
        (tmp_path / "verify.json").write_text(damaged)
        with pytest.raises(OgaError, match=r"verify\.json.* damaged.* Retrain and compare again"):
            verifying.result(tmp_path)
