"""A damaged run folder ends in one sentence wherever it is opened, and nothing about it is accepted in silence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from damages import DAMAGES
from export_runs import export_here, previews_here
from good_runs import good_run

from oga_core.errors import OgaError
from oga_core.exports.report import write_report
from oga_core.review import Decision, ReviewStore
from oga_core.review.board import DecisionBoard
from oga_core.runs.evidence import Evidence
from oga_core.runs.folder import RunFolder
from oga_core.runs.scored import ScoredRun


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return good_run(tmp_path)


def look(run: Path) -> None:
    scored = ScoredRun(run)
    scored.ranked(scored.default_score).flagged(scored.trim_fraction())
    assert len(scored.suggestions) == len(scored.finding) == len(scored.given_probability) == len(scored)
    assert scored.positions is not None
    assert 0 < scored.assumed_noise_rate < 1


def review(run: Path) -> None:
    with closing(ReviewStore(run / "review.sqlite")) as store:
        DecisionBoard(ScoredRun(run), store).refresh()
        store.history()
        store.votes()
        store.decide(Decision("2", "keep"))


def explain(run: Path) -> None:
    evidence = Evidence(ScoredRun(run))
    assert bool(evidence.fault) == (evidence.sketch is None) == (evidence.probabilities(0) == ())
    evidence.neighbours(0)
    evidence.look_alikes(0)


def exported(format: str) -> Callable[[Path], None]:
    return lambda run: export_here(RunFolder.open(run), format, run.parent / f"out-{format}").unlink()


def report(path: Path) -> None:
    run = RunFolder.open(path)
    write_report(run, path.parent / "report.html", previews=partial(previews_here, run))


USES: dict[str, Callable[[Path], object]] = {
    "look": look,
    "review": review,
    "explain": explain,
    "samples": lambda run: list(RunFolder.open(run).samples.inputs),
    "arrays": lambda run: RunFolder.open(run).gradient_sketch(),
    "csv": exported("csv"),
    "fixed": exported("fixed"),
    "report": report,
}


def sentences(run: Path) -> Iterator[str]:
    """Use a run in every way; yield what each refusal says, and let every other error through."""
    for use in USES.values():
        try:
            use(run)
        except OgaError as error:
            yield str(error)


def test_a_good_run_can_be_used_in_every_way(run: Path) -> None:
    assert list(sentences(run)) == []


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_run_says_what_is_wrong(name: str, run: Path) -> None:
    DAMAGES[name].do(run)
    for file in run.glob("run.json"):
        if file.is_file():
            file.write_bytes(file.read_bytes().replace(b'"DATA"', f'"{run.parent / "data.csv"}"'.encode()))
    said = list(sentences(run))
    assert said, "the damage was accepted in silence"
    assert any(re.search(DAMAGES[name].message, sentence) for sentence in said), said
    assert all(sentence.endswith(".") and len(sentence) < 600 for sentence in said), said


def test_the_table_is_long() -> None:
    assert len(DAMAGES) >= 35
