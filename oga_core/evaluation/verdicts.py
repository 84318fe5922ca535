"""The scores of a run against each other and against the verdicts: what the Compare page shows, without Streamlit."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oga_core.numerics import span
from oga_core.review.decisions import ACTIONS, BAD_ACTIONS
from oga_core.runs.info import RunInfo
from oga_core.runs.scored import ScoredRun
from oga_core.scores import CHECKPOINTS, SCORES, VALIDATION, VALIDATION_CHECKPOINTS

PAPERS = ("isolation_forest", "l1_norm", "l2_norm")
SELECTION = "A selection"
ALL = "All"
_QUANTILE = 1.645
_PASSES = {
    "data": ("gradients", ()),
    "validation": ("gradients of the validation data", (VALIDATION,)),
    "checkpoints": ("gradients of the checkpoints", (CHECKPOINTS, VALIDATION_CHECKPOINTS)),
}
"""For each pass over the samples its stage in run.json's `seconds`, and the needs of a score that ask for it."""
_OGA = {
    "number": "How far the number is from those of samples like it.",
    "labels": "How likely one of the labels is wrong, by the one that is likeliest to be.",
    "tags": "How likely one of the tags is wrong, by the one that is likeliest to be.",
    "mask": "How much worse the mask fits in its worst regions than others do, and how unusual its gradient is.",
    "own": "How much larger the loss is than those of samples like it.",
    "causal_lm": "How unusual the response is, given its prompt.",
}
"""What the score `oga` is of samples that have no classes, by what they have."""
_SHAPE = re.compile(r",?\s*`?\(n_samples,\)`?")


def method_table(data: ScoredRun, codes: NDArray[np.int8], score: str, flagged: int) -> pd.DataFrame:
    """One line a score: precision on the verdicts among its flagged samples, overlap with `score`, cost.

    codes: `(n_samples,)` decisions. Verdicts on all samples that score at least the threshold count.
    Sorted by the lower bound of the precision, then by the overlap.
    """
    bad = np.isin(codes, [ACTIONS.index(action) for action in BAD_ACTIONS])
    judged = bad | (codes == ACTIONS.index("keep"))
    seconds = data.info.seconds
    reference = flagged_weights(data, score, flagged)
    lines = []
    for name in data.scores:
        weights = flagged_weights(data, name, flagged)
        verdicts = int(judged[weights > 0].sum())
        n_bad = int(bad[weights > 0].sum())
        low, high = interval(n_bad, verdicts)
        lines.append(
            {
                "score": name,
                "family": family(name),
                "precision": 100 * n_bad / verdicts if verdicts else None,
                "verdicts": f"{n_bad:,} of {verdicts:,}" if verdicts else None,
                "interval": span(100 * low, 100 * high, unit=" %") if verdicts else None,
                "low": low if verdicts else None,
                "overlap": 100.0 if name == score else 100 * float(weights @ reference) / max(flagged, 1),
                "seconds": seconds.get("each_score", {}).get(name),
                "passes": passes(name, seconds),
                "about": described(name, data.info),
            }
        )
    table = pd.DataFrame(lines).astype({"precision": float, "low": float, "overlap": float, "seconds": float})
    return table.sort_values(["low", "overlap"], ascending=False, kind="stable", na_position="last", ignore_index=True)


def interval(count: int, of: int) -> tuple[float, float]:
    """The 90 % interval of a share, 0 to 1, from few draws too. Wilson, JASA 1927."""
    if not of:
        return 0.0, 1.0
    share = count / of
    more = _QUANTILE**2 / of
    middle = (share + more / 2) / (1 + more)
    half = _QUANTILE * float(np.sqrt(share * (1 - share) / of + more / (4 * of))) / (1 + more)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def flagged_weights(data: ScoredRun, name: str, flagged: int) -> NDArray[np.float64]:
    """What each sample counts for among the `flagged` most suspicious, `(n_samples,)`, 0 to 1; the sum is `flagged`.

    Samples with the score at the threshold, of which only some fit, count alike: by their share. Which of them come
    first says nothing of the score.
    """
    values = data.ranked(name).values
    if not flagged:
        return np.zeros(len(data))
    cut = values[data.order(name)[flagged - 1]]
    above = values > cut
    equal = values == cut
    return above + equal * ((flagged - above.sum()) / equal.sum())


def average_ranks(data: ScoredRun, name: str) -> NDArray[np.float64]:
    """The place of every sample, 0 = most suspicious, `(n_samples,)`; equals share the mean of their places."""
    order = data.order(name)
    values = data.ranked(name).values[order]
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    sizes = np.diff(np.append(starts, len(values)))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat(starts + (sizes - 1) / 2, sizes)
    return ranks


def rank_correlation(data: ScoredRun, names: list[str]) -> NDArray[np.float64]:
    """Spearman's correlation of the scores, `(n_names, n_names)`; NaN for a score that is the same everywhere."""
    if len(data) < 2:
        return np.ones((len(names), len(names)))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.corrcoef(np.stack([average_ranks(data, name) for name in names]))


def overlaps(data: ScoredRun, names: list[str], flagged: int) -> NDArray[np.float64]:
    """Share of the flagged samples that two scores have in common, `(n_names, n_names)`, 0 to 1."""
    weights = np.stack([flagged_weights(data, name, flagged) for name in names])
    shares: NDArray[np.float64] = weights @ weights.T / max(flagged, 1)
    np.fill_diagonal(shares, 1.0)
    return shares


def families(data: ScoredRun) -> list[str]:
    """The families of the run's scores, in the registry's order."""
    return list(dict.fromkeys(family(name) for name in [*SCORES, *data.scores] if name in data.scores))


def members(data: ScoredRun, table: pd.DataFrame, group: str, score: str) -> list[str]:
    """The scores of a family, all, or a selection: default, `score`, the paper's three, the best of each family.

    table: of `method_table`; its order says which score is the best.
    """
    if group == ALL:
        return list(data.scores)
    if group != SELECTION:
        return [name for name in data.scores if family(name) == group]
    best = table.drop_duplicates("family")["score"]
    wanted = dict.fromkeys([data.scores[0], score, *PAPERS, *best])
    return [name for name in wanted if name in data.scores]


def family(name: str) -> str:
    """What kind of score it is; empty for one that this version does not know."""
    return SCORES[name].family if name in SCORES else ""


def described(name: str, info: RunInfo | None = None) -> str:
    """What the score is, in one sentence of plain text; info: of the run that has it."""
    loss = info.loss.get("name", "cross_entropy") if info else "cross_entropy"
    if name == "loss" and "cross_entropy" not in loss:
        return "The loss that the model was trained with, of the sample alone."
    if name == "oga" and info is not None:
        kind = "own" if loss == "own" and info.target != "number" else info.target
        if told := _OGA.get(info.modality, _OGA.get(kind, "")):
            return told
    words = " ".join(SCORES[name].description.split()) if name in SCORES else ""
    return _SHAPE.sub("", words).replace("`", "")


def passes(name: str, seconds: dict[str, Any]) -> str:
    """Which passes over samples the score needs, and how long each took where the run says so."""
    if name not in SCORES:
        return ""
    needs = SCORES[name].needs
    uses = SCORES[name].uses
    words = []
    for what, (stage, asked) in _PASSES.items():
        needed = not asked or any(need in needs for need in asked)
        used = stage in seconds and any(need in uses for need in asked)
        if needed or used:
            took = f" ({_rounded(seconds[stage])} s)" if stage in seconds else ""
            words.append(f"{'' if needed else 'optional '}{what}{took}")
    return ", ".join(words)


def _rounded(seconds: float) -> str:
    return f"{seconds:,.0f}" if seconds >= 10 else f"{seconds:.1g}"
