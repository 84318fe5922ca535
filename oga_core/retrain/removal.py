"""What becomes of a response when the rows that pushed most for it are not learnt: its loss after training again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from oga_core.numerics import Floats, span
from oga_core.retrain.comparison import SIGNED, half_width, says

if TYPE_CHECKING:
    from oga_core.retrain.adapters import AdapterTraining
    from oga_core.samples import SampleSet

SHARES = (0.01, 0.02, 0.05)
"""Of the rows that are left out: what has been published for such curves lies in this range."""
RANDOM, WORDS = "random", "bm25"
MOST_QUERIES = 20
"""Each takes six trainings a seed."""
_QUOTED = 0.02


def trainings(n_queries: int) -> int:
    """How many trainings one seed takes: with all rows, and for each share without random ones and two lists each."""
    return 1 + len(SHARES) * (1 + 2 * n_queries)


def removal_trials(
    training: AdapterTraining, rankings: Mapping[str, Floats], queries: SampleSet, seeds: int
) -> Iterator[dict[str, Any]]:
    """Yield, for every seed, share and query, how much the query's loss rises without the first rows of each ranking.

    rankings: scores `(n_queries, n_rows)` by name, the highest first. A control leaves out as many random rows, the
    same ones for all queries.
    """
    n_rows = len(training.samples)
    for seed in range(seeds):
        random = np.random.default_rng([seed, 2])
        before = training.losses(training.trained(seed), queries)
        for share in SHARES:
            count = max(1, round(share * n_rows))
            drawn = random.choice(n_rows, count, replace=False)
            by_chance = training.losses(training.trained(seed, without=drawn), queries) - before
            for number in range(len(queries)):
                query, rises = queries.take(np.array([number])), {RANDOM: float(by_chance[number])}
                for name, scores in rankings.items():
                    first = np.argsort(-scores[number], kind="stable")[:count]
                    after = training.losses(training.trained(seed, without=first), query)
                    rises[name] = float(after[0] - before[number])
                yield {"seed": seed, "share": share, "n_removed": count, "query": number, "rises": rises}


def removal_curve(trials: Sequence[Mapping[str, Any]], method: str) -> dict[str, Any]:
    """Summarise the trials: for each share the mean rise by ranking, and by how much `method` exceeds the controls.

    Intervals of 90 % are by Student's t over all queries and seeds; None of a single one, which says nothing of chance.
    """
    points = []
    for share in sorted({trial["share"] for trial in trials}):
        members = [trial for trial in trials if trial["share"] == share]
        rises = {name: np.array([trial["rises"][name] for trial in members]) for name in members[0]["rises"]}
        points.append(
            {
                "share": share,
                "n_removed": members[0]["n_removed"],
                "rise": {name: _described(values) for name, values in rises.items()},
                **{f"over_{name}": _described(rises[method] - rises[name]) for name in (RANDOM, WORDS)},
            }
        )
    return {"method": method, "n_queries": len({trial["query"] for trial in trials}), "shares": points}


def _described(values: Floats) -> dict[str, Any]:
    mean = float(values.mean())
    if len(values) < 2:
        return {"mean": mean, "interval_90": None, "says": "one training says nothing about chance"}
    half = half_width(values.astype(np.float64), 0.0, True)
    result = {"better": "more", "worse": "less"}.get(says(mean, half), says(mean, half))
    return {"mean": mean, "interval_90": [mean - half, mean + half], "says": result}


def removal_verdict(curve: Mapping[str, Any]) -> str:
    """Say in a sentence or two what leaving out the rows of one share does, and whether it is more than chance."""
    point = next((each for each in curve["shares"] if each["share"] == _QUOTED), curve["shares"][0])
    of = "the response" if curve["n_queries"] == 1 else f"the {curve['n_queries']} responses"
    rise, random, words = (point["rise"][name]["mean"] for name in (curve["method"], RANDOM, WORDS))
    return (
        f"Trained without the {point['n_removed']:,} rows that pushed most for it, the loss of {of} rises by "
        f"{rise:+.3f}; without as many random rows by {random:+.3f}, without those with the most words in common by "
        f"{words:+.3f}. {_against('random rows', point['over_random'])} {_against('words', point['over_bm25'])}"
    )


def _against(name: str, difference: Mapping[str, Any]) -> str:
    if difference["interval_90"] is None:
        return f"Against {name}: {difference['mean']:+.3f}."
    low, high = difference["interval_90"]
    return f"Against {name}: {difference['mean']:+.3f} (90 % interval {span(low, high, SIGNED)}), {difference['says']}."
