"""What of all rows a model is trained on: how much is cut, dropped or ignored, counted before the pass."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from oga_core.samples import SampleSet, UnreadableSample
from oga_core.worker.stages import Progress

if TYPE_CHECKING:
    from oga_core.tasks.language.kept import KeptTokens
    from oga_core.tasks.language.tokens import RowTokens

_ROWS_BETWEEN_REPORTS = 500


def survey(
    tokens_of: KeptTokens,
    chosen: str | None,
    max_length: int,
    samples: SampleSet,
    progress: Progress = lambda event: None,
) -> dict[str, Any]:
    """Return the fields of `runs.info.TrainedInput` for the rows of a language model; each row is made into tokens.

    chosen: what of rows is to be trained on. max_length: tokens that the model sees of a row.
    """
    counts: Counter[str] = Counter()
    remarks: Counter[str] = Counter()
    trained_on: set[str] = set()
    for row in range(len(samples)):
        try:
            tokens = tokens_of(samples, row)
        except UnreadableSample:
            counts["unreadable_rows"] += 1
            continue
        counts.update(row_counts(tokens, max_length))
        trained_on.add(tokens.trained_on)
        remarks.update(dict.fromkeys(tokens.remarks, 1))
        if row % _ROWS_BETWEEN_REPORTS == 0:
            progress({"stage": "read rows", "done": row, "total": len(samples)})
    return {
        "trained_on": trained_on.pop() if len(trained_on) == 1 else chosen,
        "max_length": max_length,
        "rows": len(samples),
        **{name: counts[name] for name in _COUNTED},
        "remarks": dict(remarks),
    }


_COUNTED = (
    "tokens",
    "trained_tokens",
    "cut_rows",
    "cut_tokens",
    "cut_trained_tokens",
    "untrained_rows",
    "unreadable_rows",
)


def row_counts(tokens: RowTokens, max_length: int) -> dict[str, int]:
    """Return what one row adds to each count; the first token is never predicted, so it is not trained on."""
    trained = [False, *tokens.trained[1:]]
    kept = sum(trained[:max_length])
    cut = max(0, len(tokens.ids) - max_length)
    return {
        "tokens": len(tokens.ids) - cut,
        "trained_tokens": kept,
        "cut_rows": int(cut > 0),
        "cut_tokens": cut,
        "cut_trained_tokens": sum(trained) - kept,
        "untrained_rows": int(kept == 0),
    }
