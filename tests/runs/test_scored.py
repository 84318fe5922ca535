"""One scored run: the same score, order and threshold on every page, in every export and in retraining."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from app_runs import image_run

from oga_app.server.settings import Settings
from oga_app.state import Session
from oga_core.exports.job import decided_run
from oga_core.exports.report import write_report
from oga_core.retrain import verification
from oga_core.runs.scored import DEFAULT_TRIM_FRACTION, ScoredRun


def flagged_everywhere(path: Path, folder: Path) -> dict[str, int]:
    """How many samples Explore, the exports, the report and retraining flag of one run."""
    scored = ScoredRun(path)
    run = scored.run
    write_report(run, folder / "report.html")
    shown = re.search(r"Trim fraction</dt><dd>[^(]*\(([\d,]+) samples", (folder / "report.html").read_text())
    assert shown
    fraction = scored.trim_fraction()
    return {
        "explore": Session(Settings.parse(["--run", str(path)])).flagged_of(scored),
        "table": int(decided_run(run, {}).is_issue.sum()),
        "report": int(shown.group(1).replace(",", "")),
        "retraining": len(verification._plan(scored, scored.default_score, fraction, False).flagged),
    }


@pytest.mark.parametrize("suggestion", [None, 0.0, 0.25])
def test_one_threshold_everywhere(tmp_path: Path, suggestion: float | None) -> None:
    run = image_run(tmp_path)
    run.update(suggested_trim_fraction=suggestion)
    expected = round((DEFAULT_TRIM_FRACTION if suggestion is None else suggestion) * len(run.table))
    counts = flagged_everywhere(run.path, tmp_path)
    assert counts == dict.fromkeys(counts, expected)


def test_a_chosen_threshold_of_zero_flags_nothing(tmp_path: Path) -> None:
    run = image_run(tmp_path)
    run.update(suggested_trim_fraction=0.25)
    assert not decided_run(run, {}, trim_fraction=0.0).is_issue.any()
    write_report(run, tmp_path / "report.html", trim_fraction=0.0)
    assert "0.0% (0 samples)" in (tmp_path / "report.html").read_text()


def test_an_estimate_that_was_not_made_is_not_shown(tmp_path: Path) -> None:
    run = image_run(tmp_path)
    run.update(noise_rate=None, suggested_trim_fraction=None)
    assert ScoredRun(run.path).noise_rate is None
    run.update(noise_rate={"rate": 0.3, "low": 0.2, "high": 0.4})
    assert ScoredRun(run.path).noise_rate == 0.3


def test_both_ends_of_the_noise_rate_are_what_an_expectation_starts_from(tmp_path: Path) -> None:
    run = image_run(tmp_path)
    assert ScoredRun(run.path).beliefs["noise_range"] is None
    run.update(noise_rate={"rate": 0.1, "low": 0.02, "high": 0.3})
    assert ScoredRun(run.path).beliefs["noise_range"] == (0.02, 0.3)


def test_suggestions_are_those_of_each_row(tmp_path: Path) -> None:
    scored = ScoredRun(image_run(tmp_path).path)
    assert scored.suggestions.tolist() == [scored.suggestion(row) for row in range(len(scored))]
    assert (scored.suggestions >= 0).any()
    assert np.unique(scored.suggestions).min() == -1


def test_a_run_without_probabilities_of_its_suggestions_has_no_part(tmp_path: Path) -> None:
    run = image_run(tmp_path)
    table = run.table.assign(wrong_label_probability=0.5)
    table["suggested_label"] = table["predicted_label"]
    run.write_table(table.drop(columns="suggested_label_probability", errors="ignore"))
    assert ScoredRun(run.path).suggested_part(0) == (-1, 0.0)
