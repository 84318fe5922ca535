"""The one line about a comparison of trainings."""

from __future__ import annotations

from typing import Any

import pytest

from oga_core.retrain.arms import RELABELLED, TRIMMED
from oga_core.retrain.comparison import headline


def arm(low: float, mean: float, high: float) -> dict[str, Any]:
    says = "better" if low > 0 else "worse" if high < 0 else "no clear difference"
    return {"accuracy": 0.8, "gain": {"mean": mean, "interval_90": [low, high], "says": says}}


@pytest.mark.parametrize("sure", [TRIMMED, RELABELLED])
def test_the_line_is_about_the_surest_gain_not_the_largest(sure: str) -> None:
    other = RELABELLED if sure == TRIMMED else TRIMMED
    arms = {sure: arm(0.02, 0.03, 0.04), other: arm(-0.05, 0.06, 0.17)}
    line, _ = headline({"arms": arms, "depth": "all", "judged_on": {"kind": "validation"}})
    assert "+3.0 points of accuracy (+2.0 to +4.0), it helps" in line


def test_a_gain_that_may_be_none_is_not_clear() -> None:
    arms = {TRIMMED: arm(-0.01, 0.01, 0.03)}
    line, advice = headline({"arms": arms, "depth": "head", "judged_on": {"kind": "validation"}})
    assert line.endswith("(-1.0 to +3.0), not clear yet.")
    assert "whole network" in advice


def test_a_loss_is_said_to_rise_or_fall_and_large_errors_without_decimals():
    gain = {"mean": -0.003, "interval_90": [-0.016, 0.01], "says": "no clear difference"}
    summary = {"arms": {TRIMMED: {"gain": gain}}, "measure": "mean loss", "judged_on": {"kind": "validation"}}
    assert headline(summary)[0] == (
        "Trimming what is flagged: the mean loss changes by +0.003 (-0.010 to +0.016), not clear yet."
    )
    gain.update(mean=1234.567, interval_90=[1234.53, 1234.6], says="better")
    assert "changes by -1,235 (about -1,235), it helps" in headline(summary)[0]
