"""What the Compare page shows of a language model that was trained without the rows behind a response."""

from __future__ import annotations

import json

import pytest
from page_words import words

from oga_core.retrain.arms import NOTHING_CHANGED, RANDOM_TRIM, TRIMMED
from oga_core.retrain.losses import compare_losses
from oga_core.retrain.removal import SHARES, removal_curve

RISES = {"ekfac": 0.3, "bm25": 0.2, "random": 0.01}


def verification(seeds: int) -> dict:
    """A result as `verify` writes it."""
    trials = [
        {"arm": arm, "seed": seed, "n_train": 80, "n_judged": 20, "loss": 2 + seed / 10, "difference_std": 0.1}
        for seed in range(seeds)
        for arm in (NOTHING_CHANGED, TRIMMED, RANDOM_TRIM)
    ]
    removed = [
        {
            "seed": seed,
            "share": share,
            "n_removed": round(100 * share),
            "query": 0,
            "rises": {name: 50 * share * rise + seed / 100 for name, rise in RISES.items()},
        }
        for share in SHARES
        for seed in range(seeds)
    ]
    curve = {**removal_curve(removed, "ekfac"), "queries": [{"text": "say red red"}]}
    facts = {"verdict": "As it is.", "warnings": [], "seconds": 3.0, "seeds": seeds, "score": "oga", "n_flagged": 5}
    return {**facts, "arms": compare_losses(trials, split=True), "removal": curve}


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_curve_and_its_lead_over_random_rows_and_words_are_shown(visit, digits, seeds):
    (digits.path / "verify.json").write_text(json.dumps(verification(seeds)))
    test = visit("compare", run="digits")
    test.segmented_control(key="compare-part").set_value("Retrain").run()
    assert not test.exception
    assert "Without the rows that pushed for it" in words(test)
    assert "say red red" in words(test)
    (table,) = (each.value for each in test.dataframe if "Rows left out" in each.value)
    assert table["Rows left out"].tolist() == ["1 (1%)", "2 (2%)", "5 (5%)"]
    assert table["Rise"].iloc[0] == pytest.approx(0.15 + (seeds - 1) / 200)
    verdict = "one training says nothing about chance" if seeds == 1 else "more"
    assert table["Over random"].iloc[2].endswith(verdict)
    assert table["Over random"].iloc[2].startswith("+0.725")


def test_a_damaged_curve_is_said(visit, digits):
    content = verification(2)
    del content["removal"]["shares"][0]["over_random"]
    (digits.path / "verify.json").write_text(json.dumps(content))
    test = visit("compare", run="digits")
    test.segmented_control(key="compare-part").set_value("Retrain").run()
    assert not test.exception
    assert "verify.json is damaged" in words(test)
