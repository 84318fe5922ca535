"""The one exception for input that a person can correct, and the one for a sample that cannot be read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class OgaError(Exception):
    """Something is wrong with what the person gave.

    The message is complete as it stands: what is wrong (name and value), what is allowed, what to do.
    It is caught once at each border: the command line (exit status 2) and the dashboard. `detail` is JSON for the
    dashboard, such as the checks that failed and the class order that they propose.
    """

    def __init__(self, message: str, detail: dict[str, Any] | None = None):
        super().__init__(message)
        self.detail = detail or {}


_LONGEST_REASON = 500


class UnreadableSample(Exception):
    """Raised by `SampleSet.inputs[i]` when one sample cannot be decoded; the run lists it and goes on.

    reason: what it quotes of the sample may be as long as the sample, so that it is cut.
    """

    def __init__(self, reason: str):
        super().__init__(reason if len(reason) <= _LONGEST_REASON else f"{reason[: _LONGEST_REASON - 1]}…")


class UntrainedSample(UnreadableSample):
    """Raised for a row of which no token is trained on within the longest input: trainers drop it, a run lists it."""


def unknown(kind: str, name: object, allowed: Iterable[object]) -> OgaError:
    """Return the error for a name that is not one of the allowed ones."""
    return OgaError(f"Unknown {kind} {str(name)!r}. Choose one of: {', '.join(map(str, allowed))}.")
