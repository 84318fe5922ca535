"""Recognise the columns of a table by their usual names, or take the ones that were chosen."""

from __future__ import annotations

from collections.abc import Sequence

from oga_core.errors import OgaError

USUAL_NAMES: dict[str, tuple[str, ...]] = {
    "id": ("id", "idx", "uid", "guid", "sample_id"),
    "label": ("label", "labels", "class", "target", "category", "y"),
    "text": ("text", "sentence", "content", "review", "document", "question"),
    "image": ("file_name", "filename", "image", "path", "file", "filepath", "image_path"),
}
TEXT_PAIRS = (
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("text1", "text2"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("question", "answer"),
)
OPTIONS = {"id": "--id-column", "label": "--label-column", "text": "--text-column"}


def recognise(role: str, columns: Sequence[str]) -> str | None:
    """Return the first column whose name is usual for `role`, without regard to case."""
    found = candidates(role, columns)
    return found[0] if found else None


def candidates(role: str, columns: Sequence[str]) -> list[str]:
    """Return every column whose name is usual for `role`, the most usual first."""
    by_key = {name.strip().casefold(): name for name in reversed(columns)}
    return [by_key[name] for name in USUAL_NAMES[role] if name in by_key]


def choose(role: str, columns: Sequence[str], chosen: str | None, origin: str) -> str | None:
    """Return the chosen column, else the one recognised, else None.

    Raises `OgaError` where the chosen one is not there or where several could be meant.
    """
    if chosen is not None:
        if chosen not in columns:
            raise missing(role, columns, origin, chosen)
        return chosen
    found = candidates(role, columns)
    if role in ("label", "text") and len(found) > 1:
        raise OgaError(
            f"{origin} has several columns that could hold the {role}: {some(found)}. Choose one with {OPTIONS[role]}."
        )
    return found[0] if found else None


def text_pair(columns: Sequence[str]) -> tuple[str, str] | None:
    """Return the two columns of a text pair, where the table has them."""
    by_key = {name.strip().casefold(): name for name in reversed(columns)}
    for first, second in TEXT_PAIRS:
        if first in by_key and second in by_key:
            return by_key[first], by_key[second]
    return None


def missing(role: str, columns: Sequence[str], origin: str, name: str | None = None) -> OgaError:
    """Return the error for a column that a table lacks."""
    wanted = name if name is not None else USUAL_NAMES[role][0]
    how = f"Choose the {role} column with {OPTIONS[role]}." if role in OPTIONS else "Name one of its columns so."
    return OgaError(f"{origin} has no column {wanted!r}; it has {some(columns)}. {how}")


def some(names: Sequence[str], shown: int = 12) -> str:
    """Quote names for a message, at most `shown` of them."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(repr(name) for name in names[:shown]) + more
