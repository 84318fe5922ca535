"""One filter for all views: what is shown, how it reads as chips, and how it is written into the address."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from oga_core.errors import OgaError
from oga_core.map.polygon import MAX_CORNERS
from oga_core.review.decisions import ACTIONS

SIDES = ("flagged", "unflagged")
PREDICTIONS = ("as the given label", "another label")
UNDECIDED = "undecided"


@dataclass(frozen=True)
class Filters:
    """What all views show; None means no restriction.

    given, predicted: class names. prediction: whether it differs from the given label, one of `PREDICTIONS`.
    finding: a kind of finding. cluster: the name of a cluster on the map. decision: an action or "undecided".
    reviewer: who decided. side: "flagged" or "unflagged". content, text: part of what the sample holds, and of its id.
    metadata: columns of the data with the value that passes. score_range: a score with its lowest and highest value.
    probability_range: that the label is wrong, 0 to 1. value_range: of given numbers. polygon: corners of a
    selection on the map.
    """

    given: str | None = None
    predicted: str | None = None
    prediction: str | None = None
    finding: str | None = None
    cluster: str | None = None
    decision: str | None = None
    reviewer: str | None = None
    side: str | None = None
    content: str | None = None
    text: str | None = None
    metadata: tuple[tuple[str, str], ...] | None = None
    score_range: tuple[str, float, float] | None = None
    probability_range: tuple[float, float] | None = None
    value_range: tuple[float, float] | None = None
    polygon: tuple[tuple[float, float], ...] | None = None

    def __bool__(self) -> bool:
        return any(value is not None for value in vars(self).values())

    def chips(self) -> Iterator[tuple[str, str]]:
        """The name and the words of every restriction."""
        for name, words in _WORDS.items():
            value = getattr(self, name)
            if value is not None:
                yield name, words(value)

    def without(self, name: str) -> Filters:
        """The same without one restriction."""
        return replace(self, **{name: None})

    def with_metadata(self, column: str, value: str | None) -> Filters:
        """The same with the value that passes in one column of the data; None takes the restriction away."""
        values = {**dict(self.metadata or ()), column: value}
        pairs = tuple((name, entry) for name, entry in values.items() if entry is not None)
        return replace(self, metadata=pairs or None)

    def to_json(self) -> str:
        """Write only what restricts; empty for no restriction."""
        content = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")) if content else ""

    @classmethod
    def from_json(cls, text: str) -> Filters:
        """Read what `to_json` wrote; raises `OgaError` for anything else."""
        try:
            content = json.loads(text) if text else {}
            return cls(**{name: _CHECKS.get(name, _text)(content[name]) for name in _known(content)})
        except (ValueError, TypeError, LookupError, RecursionError):
            raise OgaError("The filter in the address cannot be read. Open the run again without it.") from None


def _between(low: float, high: float, unit: str = "") -> str:
    return f"{low:.4g} to {high:.4g}{unit}"


_WORDS: dict[str, Callable[[Any], str]] = {
    "given": "given: {}".format,
    "predicted": "predicted: {}".format,
    "prediction": "predicted: {}".format,
    "finding": "finding: {}".format,
    "cluster": "cluster: {}".format,
    "decision": "decision: {}".format,
    "reviewer": "decided by: {}".format,
    "side": str,
    "content": "contains: {}".format,
    "text": "id contains: {}".format,
    "metadata": lambda pairs: ", ".join(f"{column}: {value}" for column, value in pairs),
    "score_range": lambda bounds: f"{bounds[0].replace('_', ' ')}: {_between(*bounds[1:])}",
    "probability_range": lambda bounds: f"wrong label: {_between(100 * bounds[0], 100 * bounds[1], ' %')}",
    "value_range": lambda bounds: f"given value: {_between(*bounds)}",
    "polygon": lambda _: "selected on the map",
}


def _known(content: dict[str, Any]) -> list[str]:
    if not isinstance(content, dict) or not content.keys() <= {field.name for field in fields(Filters)}:
        raise ValueError(content)
    return list(content)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _one_of(*allowed: str) -> Callable[[Any], str]:
    return lambda value: allowed[allowed.index(value)]


def _metadata(value: Any) -> tuple[tuple[str, str], ...]:
    return tuple((_text(column), _text(wanted)) for column, wanted in value)


def _score_range(value: Any) -> tuple[str, float, float]:
    name, low, high = value
    return (_text(name), *_range((low, high)))


def _range(value: Any) -> tuple[float, float]:
    low, high = map(float, value)
    if not np.isfinite([low, high]).all():
        raise ValueError(value)
    return low, high


def _polygon(value: Any) -> tuple[tuple[float, float], ...]:
    corners = tuple(_range(corner) for corner in value)
    if not 3 <= len(corners) <= MAX_CORNERS:
        raise ValueError(value)
    return corners


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "side": _one_of(*SIDES),
    "prediction": _one_of(*PREDICTIONS),
    "decision": _one_of(*ACTIONS, UNDECIDED),
    "metadata": _metadata,
    "score_range": _score_range,
    "probability_range": _range,
    "value_range": _range,
    "polygon": _polygon,
}
