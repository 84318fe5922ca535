"""Decisions as changes of the data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from oga_core.readers.answers.responses import PAIRS
from oga_core.readers.tables.flags import as_written
from oga_core.readers.tables.pointers import pointer
from oga_core.readers.tables.tagged import as_list, as_text
from oga_core.readers.targets import separator_of
from oga_core.review.decisions import Decision
from oga_core.review.edits import Edits
from oga_core.samples import SampleSet, labels_of, require_labels, require_tags


def edits_of(decisions: Mapping[str, Decision], samples: SampleSet, names: Mapping[str, str]) -> Edits:
    """Return what decisions on `samples` change; `names` maps a class to how the data writes it, where it differs.

    Decisions on samples that are not in the set change nothing.
    """
    rows = dict(zip(samples.ids, samples.row_numbers.tolist(), strict=True))
    if samples.target in ("labels", "tags"):
        new_lists = _new_lists if samples.target == "labels" else _new_tags
        decisions, changed = _without_lists(decisions), dict(new_lists(decisions, samples))
    else:
        changed = {}
    labels = {
        sample_id: names.get(decision.new_label, decision.new_label)
        for sample_id, decision in decisions.items()
        if decision.action == "relabel" and decision.new_label is not None and sample_id in rows
    }
    removed = frozenset(key for key, decision in decisions.items() if decision.action == "remove" and key in rows)
    label_of_row = {rows[sample_id]: label for sample_id, label in labels.items()}
    removed_rows = frozenset(rows[sample_id] for sample_id in removed)
    return Edits(labels, removed, label_of_row, removed_rows, {**changed, **dict(_new_values(decisions, samples))})


def _new_values(decisions: Mapping[str, Decision], samples: SampleSet) -> Iterator[tuple[int, dict[str, Any]]]:
    changing = {key for key, decision in decisions.items() if decision.action in ("edit", "swap")}
    if not changing:
        return
    for i, sample_id in enumerate(samples.ids):
        if sample_id in changing:
            decision = decisions[sample_id]
            values = dict(decision.edit) if decision.action == "edit" else swapped(samples.rows[i])
            yield int(samples.row_numbers[i]), values


def _without_lists(decisions: Mapping[str, Decision]) -> dict[str, Decision]:
    return {key: decision for key, decision in decisions.items() if decision.action != "relabel"}


def _new_lists(decisions: Mapping[str, Decision], samples: SampleSet) -> Iterator[tuple[int, dict[str, Any]]]:
    """The new labels of samples with several, by row: in each column of 0 and 1, or as the list that stood there."""
    column = samples.source.columns.get("label", "")
    for i, sample_id in enumerate(samples.ids):
        decision = decisions.get(sample_id)
        if decision is None or decision.action != "relabel":
            continue
        labels = require_labels(decision.new_label, samples.class_names)
        row = samples.rows[i]
        yield (
            int(samples.row_numbers[i]),
            (
                {pointer(column): listed(labels, row[column])}
                if column in row
                else {pointer(name): as_written(name in labels, row[name]) for name in column.split(",")}
            ),
        )


def _new_tags(decisions: Mapping[str, Decision], samples: SampleSet) -> Iterator[tuple[int, dict[str, Any]]]:
    """The new tags of sentences, by row, each as the data writes tags; those that stay are as they were."""
    column = samples.source.columns["label"]
    numbers = samples.source.tag_names or samples.class_names
    for i, sample_id in enumerate(samples.ids):
        decision = decisions.get(sample_id)
        if decision is None or decision.action != "relabel":
            continue
        given = samples.label_text(i)
        tags = require_tags(decision.new_label, samples.class_names, given)
        written = samples.rows[i][column]
        cells = zip(tags, labels_of(given), as_list(written), strict=True)
        new = [old if tag == before else _tag_as_written(tag, old, numbers) for tag, before, old in cells]
        yield int(samples.row_numbers[i]), {pointer(column): as_text(new, written) if isinstance(written, str) else new}


def _tag_as_written(tag: str, old: Any, numbers: Sequence[str]) -> Any:
    """A tag as the data writes tags, by what stood there: its name, or its number as a number or as text."""
    if isinstance(old, int):
        return numbers.index(tag)
    return str(numbers.index(tag)) if old.isdecimal() and old not in numbers else tag


def listed(labels: list[str], old: Any) -> Any:
    """Several labels in the form in which the data writes them, by what stood there."""
    if not isinstance(old, str):
        return labels
    if old.startswith("["):
        return json.dumps(labels, ensure_ascii=False)
    mark = separator_of(old)
    return (f"{mark} " if f"{mark} " in old else mark).join(labels)


def swapped(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the two answers of a preference pair exchanged, by their places; nothing where the row holds no pair."""
    columns = {str(name).strip().casefold(): str(name) for name in row}
    for pair in PAIRS:
        if set(pair) <= columns.keys():
            first, second = (columns[name] for name in pair)
            return {pointer(first): row[second], pointer(second): row[first]}
    return {}
