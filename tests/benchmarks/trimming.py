"""What a run says about a whole set: the noise rate, its interval, the share to trim, and what trimming does."""

from __future__ import annotations

from typing import Any

import numpy as np
from made_sets import BenchmarkSet
from numpy.typing import NDArray

from oga_core.findings.noise import estimate_noise, suggested_trim_fraction
from oga_core.threshold.ranked import RankedScores


def trimming(problem: BenchmarkSet, score: NDArray[np.float64], seed: int) -> dict[str, float]:
    """The interval and whether the truth lies in it, the suggested trim and the share of it that is wrong.

    Where the set can train again, also the accuracy on clean samples: of all, without the suggested share, without a
    random share of that size, without the true share by the score, and without the truly wrong.
    """
    noise = estimate_noise(problem.sketch)
    share = suggested_trim_fraction(problem.sketch, score)
    truth = float(problem.wrong.mean())
    ranked = RankedScores(score)
    facts = {
        "estimate": noise.rate,
        "low": noise.low,
        "high": noise.high,
        "covers": float(noise.low <= truth <= noise.high),
        "suggested_trim": share,
        "precision_of_trim": float(problem.wrong[ranked.flagged(share)].mean()) if ranked.count(share) else np.nan,
    }
    if problem.accuracy is None:
        return facts
    n = len(problem.wrong)
    at_random = np.random.default_rng(seed).permutation(n)
    trims = {
        "nothing": np.zeros(0, dtype=np.int64),
        "suggested": ranked.flagged(share),
        "random": at_random[: ranked.count(share)],
        "true_share": ranked.flagged(truth),
        "truly_wrong": np.flatnonzero(problem.wrong),
    }
    accuracy = problem.accuracy
    after = {f"accuracy_{name}": accuracy(np.setdiff1d(np.arange(n), rows)) for name, rows in trims.items()}
    return {**facts, **after}


def averages(members: list[dict[str, float]]) -> dict[str, float]:
    """Means over the seeds; what no seed has is left out."""
    names = {name for member in members for name in member}
    columns = {name: np.array([member.get(name, np.nan) for member in members]) for name in sorted(names)}
    return {name: round(float(np.nanmean(v)), 4) for name, v in columns.items() if not np.isnan(v).all()}


def overall(results: dict[str, Any]) -> dict[str, float]:
    """Over the sets: how often `oga` is first or within 0.005, how far it is behind at most, how often it covers.

    And of what trimming the truly wrong gains in accuracy, the share that the suggested trim does, over all sets and
    over those with noise one way; where nothing is suggested, nothing is gained.
    """
    behind = [result["oga_behind"]["those without validation or checkpoints"] for result in results.values()]
    behind = [value for value in behind if value is not None]
    noise = {name: result["noise"] for name, result in results.items() if "covers" in result.get("noise", {})}
    facts = {"interval_covers": float(np.mean([each["covers"] for each in noise.values()]))} if noise else {}
    if behind:
        facts |= {"oga_first_or_within_0.005": float(np.mean(np.array(behind) <= 0.005)), "behind_at_most": max(behind)}
    tried = {name: each for name, each in noise.items() if each.get("accuracy_truly_wrong") is not None}
    for kind, part in (("", ""), ("one_sided_", "one_sided")):
        members = [each for name, each in tried.items() if part in name]
        possible = sum(each["accuracy_truly_wrong"] - each["accuracy_nothing"] for each in members)
        if possible > 0:
            gained = sum(each["accuracy_suggested"] - each["accuracy_nothing"] for each in members)
            at_random = sum(each["accuracy_random"] - each["accuracy_nothing"] for each in members)
            facts[f"{kind}share_of_oracle_gain"] = gained / possible
            facts[f"{kind}random_share_of_oracle_gain"] = at_random / possible
    return {name: round(value, 4) for name, value in facts.items()}
