"""One filter for all views: what is shown, how it reads as chips, and how it is written into the address."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_core.errors import OgaError
from oga_core.projection import points_in_polygon
from oga_core.review.board import DecisionBoard
from oga_core.review.decisions import ACTIONS
from oga_core.runs.scored import ScoredRun

SIDES = ("flagged", "unflagged")
UNDECIDED = "undecided"


@dataclass(frozen=True)
class Filters:
    """What all views show; None means no restriction.

    given, predicted: class names. finding: a kind of finding. decision: an action or "undecided".
    side: "flagged" or "unflagged". text: part of the sample id. polygon: corners of a selection on the map.
    """

    given: str | None = None
    predicted: str | None = None
    finding: str | None = None
    decision: str | None = None
    side: str | None = None
    text: str | None = None
    polygon: tuple[tuple[float, float], ...] | None = None

    def __bool__(self) -> bool:
        return any(value is not None for value in vars(self).values())

    def mask(self, data: ScoredRun, board: DecisionBoard, score: str, flagged: int) -> NDArray[np.bool_]:
        """Return which samples pass, `(n_samples,)`; `flagged` is how many the threshold flags by `score`."""
        chosen = np.ones(len(data), dtype=bool)
        for name, codes in (("given", data.given), ("predicted", data.predicted)):
            value = getattr(self, name)
            if value is not None:
                chosen &= codes == (data.classes.index(value) if value in data.classes else -2)
        if self.finding is not None:
            known = self.finding in data.finding_names
            chosen &= data.finding == (data.finding_names.index(self.finding) if known else -2)
        if self.decision is not None:
            chosen &= board.codes == (-1 if self.decision == UNDECIDED else ACTIONS.index(self.decision))
        if self.side is not None:
            chosen &= (data.rank(score) < flagged) == (self.side == "flagged")
        if self.text is not None:
            found = np.flatnonzero(chosen)
            chosen[found] = [self.text.casefold() in sample_id.casefold() for sample_id in data.ids[found]]
        if self.polygon is not None and data.positions is not None:
            chosen &= points_in_polygon(data.positions, self.polygon)
        return chosen

    def chips(self) -> Iterator[tuple[str, str]]:
        """The name and the words of every restriction."""
        words = {
            "given": "given: {}",
            "predicted": "predicted: {}",
            "finding": "finding: {}",
            "decision": "decision: {}",
            "side": "{}",
            "text": "id contains: {}",
        }
        for name, template in words.items():
            value = getattr(self, name)
            if value is not None:
                yield name, template.format(value)
        if self.polygon is not None:
            yield "polygon", "selected on the map"

    def without(self, name: str) -> Filters:
        """The same without one restriction."""
        return replace(self, **{name: None})

    def to_json(self) -> str:
        """Write only what restricts; empty for no restriction."""
        content = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")) if content else ""

    @classmethod
    def from_json(cls, text: str) -> Filters:
        """Read what `to_json` wrote; raises `OgaError` for anything else."""
        try:
            content = json.loads(text) if text else {}
            return cls(**{name: _checked(name, content[name]) for name in content})
        except (ValueError, TypeError, LookupError, RecursionError):
            raise OgaError("The filter in the address cannot be read. Open the run again without it.") from None


def _checked(name: str, value: Any) -> Any:
    if name == "polygon":
        corners = tuple((float(x), float(y)) for x, y in value)
        if not 3 <= len(corners) <= 500 or not np.isfinite(corners).all():
            raise ValueError(name)
        return corners
    allowed = {"side": SIDES, "decision": (*ACTIONS, UNDECIDED)}.get(name)
    if name not in {field.name for field in fields(Filters)} or not isinstance(value, str):
        raise ValueError(name)
    if allowed and value not in allowed:
        raise ValueError(name)
    return value
