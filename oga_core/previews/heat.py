"""Where in a conversation the tokens stand that a language model is trained on, with a number for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Spans = tuple[tuple[int, int, int, float], ...]


@dataclass(frozen=True)
class Heat:
    """Numbers of the trained tokens of one row, placed in its messages.

    spans: (message, start, end, number), characters of the message. rest: (text, number) of the trained tokens that no
    message shows, such as the one that ends a turn. mean: of all numbers. n_tokens: how many there are.
    """

    spans: Spans = ()
    rest: tuple[tuple[str, float], ...] = ()
    mean: float = 0.0
    n_tokens: int = 0


def heat_of(
    messages: Sequence[tuple[str, str]], tokens: Sequence[Mapping[str, Any]], numbers: Sequence[float]
) -> Heat | None:
    """Place the numbers of the trained tokens, in their order, in (role, text) of a row; None where they don't match.

    tokens: of `tasks.language.view.shown_tokens`. A token without a text of its own, one byte of a letter, adds its
    number to that of the token which completes it.
    """
    trained = [i for i, token in enumerate(tokens) if token["trained"]]
    if not len(numbers) or len(trained) != len(numbers):
        return None
    placed = _Placed(tokens)
    spans: list[tuple[int, int, int, float]] = []
    shown: set[int] = set()
    values = _merged(tokens, dict(zip(trained, map(float, numbers), strict=True)))
    for number, (_, text) in enumerate(messages):
        for i, start, end in placed.within(text):
            if i in values:
                spans.append((number, start, end, values[i]))
                shown.add(i)
    rest = tuple((str(tokens[i]["text"]), value) for i, value in values.items() if i not in shown)
    return Heat(tuple(spans), rest, float(sum(map(float, numbers)) / len(numbers)), len(numbers))


class _Placed:
    """The tokens' texts as one, and where in it each stands; messages are looked for one after the other."""

    def __init__(self, tokens: Sequence[Mapping[str, Any]]):
        self.text = "".join(str(token["text"]) for token in tokens)
        self.starts = []
        position = 0
        for token in tokens:
            self.starts.append(position)
            position += len(str(token["text"]))
        self.ends = [*self.starts[1:], position]
        self.done = 0

    def within(self, message: str) -> list[tuple[int, int, int]]:
        """The tokens (number, start, end) of a message, in its characters; none where the text is written otherwise."""
        words = message.strip()
        position = self.text.find(words, self.done) if words else -1
        if position < 0:
            return []
        self.done = position + len(words)
        shift = message.find(words) - position
        overlaps = zip(range(len(self.starts)), self.starts, self.ends, strict=True)
        cut = [(i, max(start, position), min(end, self.done)) for i, start, end in overlaps]
        return [(i, start + shift, end + shift) for i, start, end in cut if start < end]


def _merged(tokens: Sequence[Mapping[str, Any]], values: Mapping[int, float]) -> dict[int, float]:
    """The numbers of tokens with a text; those of tokens without go to the next that has one, else the last."""
    merged: dict[int, float] = {}
    waiting = 0.0
    for i, value in values.items():
        waiting += value
        if tokens[i]["text"]:
            merged[i] = waiting
            waiting = 0.0
    if waiting and merged:
        merged[next(reversed(merged))] += waiting
    return merged
