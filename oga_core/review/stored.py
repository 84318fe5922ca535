"""A row of the file of decisions, checked before it is believed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oga_core.errors import OgaError
from oga_core.review.decisions import ACTIONS, Decision


def stored_decision(row: Sequence[Any], path: Path) -> Decision:
    """Return a row (sample_id, action, new_label, reviewer, time, note, edit) of the file at `path` as a decision.

    Raises `OgaError` for an action of another version, and for what no version can have written.
    """
    sample_id, action, new_label, reviewer, time, note, edit = row
    if action not in ACTIONS:
        raise OgaError(
            f"{path} holds the action {action!r} on {sample_id!r}, which this version of "
            "oga does not know. Install the version that wrote it, or put back a copy of the file."
        )
    texts = [value for value in row[:-1] if not (value is None and action != "relabel")]
    if (action == "relabel") != (new_label is not None) or any(not isinstance(value, str) for value in texts):
        raise _damaged(path, sample_id, action, "new_label", new_label)
    pairs = _edit(edit)
    if pairs is None or (action == "edit") != bool(pairs):
        raise _damaged(path, sample_id, action, "edit", edit)
    return Decision(sample_id, action, new_label, reviewer, time, note, pairs)


def _edit(content: Any) -> tuple[tuple[str, str], ...] | None:
    """The pairs of an edit, none where there is none; None where it is no object of texts."""
    if content is None:
        return ()
    try:
        texts = json.loads(content)
    except (TypeError, ValueError, RecursionError):
        return None
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        return None
    return tuple(texts.items())


def _damaged(path: Path, sample_id: Any, action: str, name: str, value: Any) -> OgaError:
    return OgaError(
        f"{path} is damaged: the decision {action!r} on {sample_id!r} has {name} {str(value)[:80]!r}. "
        "Put back a copy of it, or move it away to begin a new review."
    )
