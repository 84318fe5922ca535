"""What all shards say in run.json, as one pass over all samples says it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from oga_core.gradient_sketch import GradientSketch
from oga_core.pipeline.checks import check_memorised
from oga_core.pipeline.record import accuracy_of, problem_record
from oga_core.shards.placement import Placement

Record = dict[str, Any]


def joined_record(records: Sequence[Record], placement: Placement, sketch: GradientSketch) -> Record:
    """Return what belongs in run.json of all shards, by its names; `sketch` holds the rows of all."""
    first = records[0]
    accuracy = accuracy_of(sketch)
    checks = first["checks"] if accuracy is None else _with_memorised(first["checks"], accuracy)
    missing = _union(record["jail"]["missing"] for record in records)
    unscored = [problem_record(problem) for problem in placement.problems.values()]
    unread = [problem for problem in first["problems"] if problem not in unscored]
    return {
        **first,
        "n_samples": len(sketch),
        "problems": [*unread, *unscored],
        "model_accuracy_on_given_labels": accuracy,
        "checks": checks,
        "jail": {**first["jail"], "missing": missing},
        "warnings": [*missing, *(check["message"] for check in checks if check["level"] == "warning")],
        "notes": _union(record["notes"] for record in records),
        "gradient_coverage": min(record["gradient_coverage"] for record in records),
        **{name: _largest(record[name] for record in records) for name in _ERRORS},
        "device": {**first["device"], "peak_mb": _largest(record["device"]["peak_mb"] for record in records)},
        "peak_rss_mb": _largest(record["peak_rss_mb"] for record in records),
        "seconds": _summed(record["seconds"] for record in records),
        **_trained_input(records),
    }


_ERRORS = ("gradient_check_error", "gradient_precision_error")
_COMMON = ("trained_on", "max_length")


def _with_memorised(checks: Sequence[Record], accuracy: float) -> list[Record]:
    others = [check for check in checks if check["name"] != "memorised"]
    return [*others, *(check.as_json() for check in check_memorised(accuracy))]


def _trained_input(records: Sequence[Record]) -> Record:
    """The counts of a language model's rows, summed; what is not the same in all shards is None."""
    if "trained_input" not in records[0]:
        return {}
    inputs = [record["trained_input"] for record in records]
    same = {name: inputs[0][name] for name in _COMMON if all(each[name] == inputs[0][name] for each in inputs)}
    counts = {name: sum(each[name] for each in inputs) for name in inputs[0] if name not in (*_COMMON, "remarks")}
    remarks = _summed(each["remarks"] for each in inputs)
    return {"trained_input": {"trained_on": None, **same, **counts, "remarks": remarks}}


def _union(lists: Iterable[Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(entry for entries in lists for entry in entries))


def _largest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _summed(counts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return {name: round(value, 3) for name, value in total.items()}
