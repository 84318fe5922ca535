"""What a person should do about the choice of a score: one sentence, and the samples that would decide it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oga_core.evaluation.verdicts import family, flagged_weights, interval
from oga_core.numerics import span
from oga_core.review.decisions import ACTIONS
from oga_core.runs.scored import ScoredRun

CONSIDERED = 10
"""Scores that are compared: those below the ten best by the verdicts are none that a person would change to."""
SHOWN = 5
"""Scores that stand in the table at first: the default, the chosen and the best of other families fit these lines."""
TO_REVIEW = 40
"""Samples that are asked for: a quarter of an hour of review, after which the intervals are about half as wide."""


@dataclass(frozen=True, eq=False)
class Advice:
    """One sentence, and the rows to review, `(n,)`, those on which the scores differ most first."""

    sentence: str
    rows: NDArray[np.int64]


def advise(data: ScoredRun, verdicts: NDArray[np.int8], table: pd.DataFrame, flagged: int) -> Advice:
    """Say how the best scores differ on what was reviewed, and what to review to tell them apart.

    verdicts: `(n_samples,)`, index into `ACTIONS`, -1 = not judged. table: of `method_table`, the best first.
    """
    names = table["score"].tolist()[:CONSIDERED]
    if len(names) < 2 or not 0 < flagged < len(data):
        return Advice("", np.empty(0, dtype=np.int64))
    votes = np.stack([flagged_weights(data, name, flagged) for name in names])
    split = votes.std(axis=0)
    undecided = np.flatnonzero((verdicts < 0) & (split > 0))
    rows = undecided[np.argsort(-split[undecided], kind="stable")][:TO_REVIEW]
    judged = np.flatnonzero(verdicts >= 0)
    return Advice(f"{_standing(votes, verdicts, judged, table)} {_asked(len(rows))}", rows)


def _standing(
    votes: NDArray[np.float64], verdicts: NDArray[np.int8], judged: NDArray[np.int64], table: pd.DataFrame
) -> str:
    """What the verdicts say so far of the scores whose `votes` `(n_names, n_samples)` flag samples."""
    count = f"{len(votes)} best scores" if len(votes) < len(table) else f"{len(votes)} scores"
    if not len(judged):
        return f"Nothing has been reviewed, so nothing tells the {count} apart."
    if np.ptp(votes[:, judged], axis=0).max() == 0:
        return f"The {count} agree on all {len(judged):,} that you reviewed."
    bad = verdicts != ACTIONS.index("keep")
    found = [(int((bad & (verdicts >= 0))[vote > 0].sum()), int((verdicts >= 0)[vote > 0].sum())) for vote in votes[:2]]
    first, second = (str(name).replace("_", " ") for name in table["score"][:2])
    (low, high), (_, most) = (interval(*counts) for counts in found)
    ends = span(100 * low, 100 * high, unit=" %")
    share = f"{_share(found[0])} of what it flags and you reviewed was wrong ({ends})"
    if low > most:
        return f"By your verdicts {first} is ahead: {share}, of {second} {_share(found[1])}."
    return (
        f"By your verdicts {first} leads, not clearly: {share}. It flags {found[0][0]:,} of the wrong ones you found, "
        f"{second} {found[1][0]:,}."
    )


def _share(counts: tuple[int, int]) -> str:
    wrong, judged = counts
    return f"{wrong / max(judged, 1):.0%}".replace("%", " %")


def _asked(count: int) -> str:
    if not count:
        return "They differ on no other sample at this threshold, so any of them does."
    return f"Review the {f'{count} ' if count > 1 else 'one '}on which they differ most to tell them apart."


def shown_first(data: ScoredRun, table: pd.DataFrame, score: str) -> list[str]:
    """The five scores that a person sees at first: the default, the one in use, and the best of other families."""
    best = table[~table["family"].isin({family(name) for name in (data.default_score, score)})]
    wanted = dict.fromkeys([data.default_score, score, *best.drop_duplicates("family")["score"], *table["score"]])
    return list(wanted)[:SHOWN]
