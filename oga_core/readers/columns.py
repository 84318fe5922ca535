"""Recognise the columns of a table, and the parts of a data set, by their usual names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from oga_core.errors import OgaError

USUAL_NAMES: dict[str, tuple[str, ...]] = {
    "id": ("id", "idx", "uid", "guid", "sample_id"),
    "label": ("label", "labels", "class", "target", "category", "y"),
    "text": ("text", "sentence", "content", "review", "document", "question"),
    "image": (
        *("file_name", "filename", "image", "path", "file", "filepath", "image_path"),
        *("image_file_name", "image_name", "image_file", "img", "img_path"),
    ),
    "mask": (
        *("mask", "mask_file", "mask_name", "mask_path", "mask_file_name", "segmentation", "segmentation_mask"),
        *("segmentation_file_name", "annotation_file_name", "annotation_path", "label_file_name", "label_path"),
    ),
}
TEXT_PAIRS = (
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("text1", "text2"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("question", "answer"),
)
TRAIN = ("train", "training")
OTHER_SPLITS = ("val", "valid", "validation", "dev", "test", "testing")
OPTIONS = {"id": "--id-column", "label": "--label-column", "text": "--text-column"}


def recognise(role: str, columns: Sequence[str]) -> str | None:
    """Return the first column whose name is usual for `role`, without regard to case."""
    return next(iter(candidates(role, columns)), None)


def candidates(role: str, columns: Sequence[str]) -> list[str]:
    """Return every column whose name is usual for `role`, the most usual first."""
    by_key = {name.strip().casefold(): name for name in reversed(columns)}
    return [by_key[name] for name in USUAL_NAMES[role] if name in by_key]


def choose(role: str, columns: Sequence[str], column: str | None, origin: str) -> str | None:
    """Return `column` where a person named one, else the one recognised, else None.

    Raises `OgaError` where the named one is not there or where several could be meant.
    """
    if column is not None:
        if column not in columns:
            raise missing(role, columns, origin, column)
        return column
    names = candidates(role, columns)
    if role in ("label", "text") and len(names) > 1:
        raise OgaError(
            f"{origin} has several columns that could hold the {role}: {some(names)}. Choose one with {OPTIONS[role]}."
        )
    return names[0] if names else None


def text_pair(columns: Sequence[str]) -> tuple[str, str] | None:
    """Return the two columns of a text pair, where the table has them."""
    by_key = {name.strip().casefold(): name for name in reversed(columns)}
    for first, second in TEXT_PAIRS:
        if first in by_key and second in by_key:
            return by_key[first], by_key[second]
    return None


def train_part(parts: Sequence[str], origin: str) -> str:
    """Return the part of a data set that is for training; raises `OgaError` where none of several is."""
    for part in sorted(parts):
        if part.casefold() in TRAIN:
            return part
    if len(parts) == 1:
        return parts[0]
    raise OgaError(f"{origin} has the parts {some(sorted(parts))} but no 'train'. Give the folder of one part.")


def missing(role: str, columns: Sequence[str], origin: str, name: str | None = None) -> OgaError:
    """Return the error for a column that a table lacks."""
    wanted = name if name is not None else USUAL_NAMES[role][0]
    how = f"Choose the {role} column with {OPTIONS[role]}." if role in OPTIONS else "Name one of its columns so."
    return OgaError(f"{origin} has no column {wanted!r}; it has {some(columns)}. {how}")


def check_header(name: str, columns: Sequence[str]) -> None:
    """Raise `OgaError` where two columns have the same name."""
    repeated = sorted(column for column, count in Counter(columns).items() if count > 1)
    if repeated:
        raise OgaError(
            f"{name} has more than one column named {some(repeated)}. Rename them so that each name is used once."
        )


def some(names: Sequence[str], shown: int = 12) -> str:
    """Quote names for a message, at most `shown` of them."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(repr(name) for name in names[:shown]) + more
