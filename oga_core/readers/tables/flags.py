"""Several labels a sample as columns of 0 and 1, one a label, or of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oga_core.samples import BETWEEN, is_number, labels_text

YES = ("1", "true", "yes")
NO = ("0", "false", "no")


def flag_columns(option: str | None, columns: Sequence[str]) -> tuple[str, ...]:
    """The columns that a person named with commas between them; none where that is one column, or not all are there."""
    names = tuple(name.strip() for name in option.split(",")) if option and option not in columns else ()
    return names if len(names) > 1 and set(names) <= set(columns) else ()


def flagged(names: Sequence[str], columns: Sequence[Sequence[Any]]) -> list[str | None]:
    """The labels of every row as one text, or its numbers where most rows have others than 0 and 1, or None."""
    rows = [[is_yes(value) for value in row] for row in zip(*columns, strict=True)]
    if 2 * sum(None in row for row in rows) > len(rows):
        return [_vector(row) for row in zip(*columns, strict=True)]
    return [
        None if None in row else labels_text(name for name, has in zip(names, row, strict=True) if has) for row in rows
    ]


def _vector(row: Sequence[Any]) -> str | None:
    texts = [str(value).strip() for value in row]
    return BETWEEN.join(texts) if all(map(is_number, texts)) else None


def is_yes(value: Any) -> bool | None:
    """Whether a value says that a sample has a label; None where it says neither."""
    text = str(int(value) if isinstance(value, float) and value.is_integer() else value).strip().casefold()
    return True if text in YES else False if text in NO else None


def as_written(has: bool, old: Any) -> Any:
    """Yes or no as the column writes it, by what stood there."""
    if not isinstance(old, str):
        return type(old)(has)
    for yes, no in zip(YES, NO, strict=True):
        if old.strip().casefold() in (yes, no):
            word = yes if has else no
            return word.capitalize() if old[:1].isupper() else word
    return "1" if has else "0"
