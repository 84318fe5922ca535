"""What changes in the data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Edits:
    """What changes in the data: new labels, as the data names its classes, and what is left out, by id and by row.

    values_of_row: for language models' rows, by row, the new values by their places as JSON Pointers.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    removed: frozenset[str] = frozenset()
    label_of_row: Mapping[int, str] = field(default_factory=dict)
    removed_rows: frozenset[int] = frozenset()
    values_of_row: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def changed_rows(self) -> frozenset[int]:
        """The rows that stay, but not as they were."""
        return frozenset(self.label_of_row) | frozenset(self.values_of_row)

    def only_removed(self) -> Edits:
        """The same without the changes of rows that stay."""
        return replace(self, labels={}, label_of_row={}, values_of_row={})


NO_EDITS = Edits()


_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")


def typed_label(label: str, old: Any) -> Any:
    """Return a label in the type that the data uses for labels."""
    if isinstance(old, bool) and label in ("true", "false"):
        return label == "true"
    if not isinstance(old, (int, float)) or isinstance(old, bool) or not _NUMBER.fullmatch(label):
        return label
    number = float(label)
    return type(old)(number) if number.is_integer() else number
