"""What a run keeps beside its record, damaged: one sentence, or computed again, on every page and in the report."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from export_runs import previews_here
from good_runs import good_run

from oga_app.background import explaining, jobs, verifying
from oga_app.views.selection import saved
from oga_core.errors import OgaError
from oga_core.exports.report import write_report
from oga_core.runs.folder import RunFolder
from oga_core.runs.scored import ScoredRun

DEEP = b"[" * 200_000
CONTENTS = {
    "deep": DEEP,
    "binary": bytes(range(256)),
    "cut": b'{"arms": {"a"',
    "a list": b"[]",
    "a text": b'"x"',
    "nothing": b"",
}
ARM = {"n_train": 1, "n_relabelled": 0} | {key: {"mean": 0.5} for key in ("accuracy", "balanced_accuracy")}
VERIFIED = {
    "verdict": "Trimming helps.",
    "warnings": [],
    "seconds": 1.5,
    "arms": {"trimmed": {**ARM, "gain": {"mean": 0.1, "interval_90": [0.0, 0.2], "says": "better"}}},
}
ODD_VERIFIED = {
    "arms are a text": {**VERIFIED, "arms": "abc"},
    "an arm without numbers": {**VERIFIED, "arms": {"trimmed": {"n_train": 1}}},
    "a number that is text": {**VERIFIED, "arms": {"trimmed": {**VERIFIED["arms"]["trimmed"], "n_train": "many"}}},  # type: ignore[index]
    "seconds are text": {**VERIFIED, "seconds": "many"},
    "warnings are numbers": {**VERIFIED, "warnings": [7]},
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return good_run(tmp_path)


def saved_views(run: Path) -> object:
    return saved._saved(ScoredRun(run))


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
@pytest.mark.parametrize(("name", "read"), [("verify.json", verifying.result), ("views.json", saved_views)])
def test_damage_is_named_with_what_to_do(content: bytes, name: str, read: Callable[[Path], object], run: Path) -> None:
    assert not read(run)
    (run / name).write_bytes(content)
    with pytest.raises(OgaError, match=rf"{name} is damaged\. (Retrain and compare again|Remove it to save)"):
        read(run)
    (run / name).unlink()
    (run / name).mkdir()
    with pytest.raises(OgaError, match=rf"{name} is damaged"):
        read(run)


@pytest.mark.parametrize("content", ODD_VERIFIED.values(), ids=ODD_VERIFIED)
def test_a_comparison_that_cannot_be_drawn_is_damaged(content: object, run: Path) -> None:
    (run / "verify.json").write_text(json.dumps(VERIFIED))
    assert verifying.result(run) == VERIFIED
    (run / "verify.json").write_text(json.dumps(content))
    with pytest.raises(OgaError, match=r"verify\.json is damaged"):
        verifying.result(run)


def test_views_that_cannot_be_recalled_are_damaged(run: Path) -> None:
    (run / "views.json").write_text('{"a": {"filters": "", "score": "loss", "flagged": 3}}')
    assert saved_views(run)
    for content in ('{"a": 7}', '{"a": {"flagged": "x"}}'):
        (run / "views.json").write_text(content)
        with pytest.raises(OgaError, match=r"views\.json is damaged"):
            saved_views(run)


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_the_report_is_written_all_the_same(content: bytes, run: Path) -> None:
    (run / "verify.json").write_bytes(content)
    opened = RunFolder.open(run)
    page = write_report(opened, run.parent / "report.html", previews=partial(previews_here, opened)).read_text()
    assert "The result of the retraining is damaged" in page


@pytest.mark.parametrize(
    "content",
    [*CONTENTS.values(), b'{"stage": {"a": 1}, "done": "5", "total": [], "seconds_left": "x", "memory_mb": "y"}'],
)
def test_progress_that_cannot_be_read_is_none(content: bytes, run: Path) -> None:
    RunFolder(run).update(status="running")
    (run / "progress.json").write_bytes(content)
    job = jobs.status(run)
    assert (job.stage, job.share, job.seconds_left, job.memory_mb) == ("starting", None, None, None)


@pytest.mark.parametrize(
    "content",
    [
        *CONTENTS.values(),
        b'{"pixels": "abc"}',
        b'{"pixels": [[1, 2], [3]]}',
        b'{"pixels": [1, 2]}',
        b'{"pixels": [[NaN]]}',
        b'{"spans": [["a", "b", "c"]]}',
        b'{"spans": 7}',
    ],
)
def test_saliency_that_cannot_be_drawn_is_not(content: bytes, run: Path) -> None:
    (run / "saliency").mkdir()
    (run / "saliency" / "0.json").write_bytes(content)
    assert explaining.shown(ScoredRun(run), 0, "text 0") == {}
    (run / "saliency" / "0.json").write_text('{"spans": [[0, 4, 0.5]]}')
    shown = explaining.shown(ScoredRun(run), 0, "text 0")
    assert shown == {"weights": ((0, 4, 0.5),), "pair_weights": (), "weights_note": ""}
