"""What a score is: a function, what it needs, and the scores that other installed packages add."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Literal

from oga_core.errors import OgaError
from oga_core.numerics import Floats

Family = Literal["combined", "outlier", "confidence", "influence", "neighbour", "retraining"]

VALIDATION = "validation"
CHECKPOINTS = "checkpoints"
VALIDATION_CHECKPOINTS = "validation_checkpoints"
GROUPS = "groups"


@dataclass(frozen=True)
class Score:
    """One score and what it needs.

    function: called as `function(sketch, seed=…)`, with `validation=` (a `GradientSketch`) or `checkpoints=` (several
        of them, in training order) or `validation_checkpoints=` (the validation samples at the same checkpoints) or
        `groups=` (of the validation samples) when `needs` or `uses` names them; returns `(n_samples,)`, higher = more
        suspicious.
    needs: arrays of the sketch, "validation", "checkpoints", "validation_checkpoints", "groups".
    uses: which of the last four it takes where they are given, and does without where they are not.
    by_default: False for what costs too much to compute unasked.
    """

    function: Callable[..., Floats]
    family: Family
    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    by_default: bool = True

    @property
    def description(self) -> str:
        """The first sentence of the function's docstring: formula and paper."""
        return (self.function.__doc__ or "").strip().split("\n\n")[0].strip()


ENTRY_POINTS = "oga.scores"
"""A package adds a score by an entry point of this group: the score's name, and where a `Score` is in its code."""


def installed_scores(taken: Container[str]) -> tuple[dict[str, Score], dict[str, str]]:
    """The scores of other installed packages by name, and for each that cannot be used the reason.

    taken: names that are not free. A package that fails costs no other score anything.
    """
    scores: dict[str, Score] = {}
    refused: dict[str, str] = {}
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name in taken or entry.name in scores:
            continue  # ours, and the first that was installed, keep their name
        try:
            scores[entry.name] = _loaded(entry)
        except Exception as error:  # whatever that package does when it is imported
            refused[entry.name] = f"{_package(entry)} cannot offer it: {error}"
    return scores, refused


def _loaded(entry: EntryPoint) -> Score:
    score = entry.load()
    if not isinstance(score, Score):
        raise OgaError(f"{entry.value} is of the type {type(score).__name__}, not oga_core.scores.Score")
    return score


def _package(entry: EntryPoint) -> str:
    return f"The package {entry.dist.name}" if entry.dist else f"The entry point {entry.value}"
