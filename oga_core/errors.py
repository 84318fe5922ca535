"""The one exception for input that a person can correct."""

from __future__ import annotations

from collections.abc import Iterable


class OgaError(Exception):
    """Something is wrong with what the person gave.

    The message is complete as it stands: what is wrong (name and value), what is allowed, what to do.
    It is caught once at each border: the command line (exit status 2) and the dashboard.
    """


def unknown(kind: str, name: object, allowed: Iterable[object]) -> OgaError:
    """Return the error for a name that is not one of the allowed ones."""
    return OgaError(f"Unknown {kind} {str(name)!r}. Choose one of: {', '.join(map(str, allowed))}.")
