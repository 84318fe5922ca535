"""Our table: every original column, then what the machine scored and the person decided, one row a sample."""

from __future__ import annotations

import csv
import datetime
import decimal
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from oga_core.exports.decided import ACTION_NAMES, Decided, original_row
from oga_core.exports.members import write_file
from oga_core.review.decisions import Decision

OUR_COLUMNS = (
    "sample_id",
    "is_label_issue",
    "label_score",
    "given_label",
    "predicted_label",
    "action",
    "corrected_label",
    "corrected_text",
    "oga_score",
    "oga_method",
    "oga_rank",
    "oga_reason",
    "reviewer",
    "reviewed_at",
)
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_csv(decided: Decided, out: Path, spreadsheet_safe: bool) -> Path:
    """Write the table as CSV; `spreadsheet_safe` puts ' before texts that a spreadsheet would run."""
    columns = _columns(decided)

    def write(file: IO[bytes]) -> None:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([cell(name, spreadsheet_safe) for name in columns])
        for row in table_rows(decided):
            writer.writerow([cell(row.get(name), spreadsheet_safe) for name in columns])
        text.flush()

    return write_file(out, ".csv", write)


def write_jsonl(decided: Decided, out: Path, spreadsheet_safe: bool) -> Path:
    """Write the table as JSON lines, values of the original columns in their own types."""
    lines = (json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in table_rows(decided))
    return write_file(out, ".jsonl", lambda file: file.writelines(map(str.encode, lines)))


def write_parquet(decided: Decided, out: Path, spreadsheet_safe: bool) -> Path:
    """Write the table as Parquet; a column of mixed types becomes text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = _columns(decided)
    values: dict[str, list[Any]] = {name: [] for name in columns}
    for row in table_rows(decided):
        for name in columns:
            values[name].append(row.get(name))
    arrays = {}
    for name, column in values.items():
        try:
            arrays[name] = pa.array(column)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
            arrays[name] = pa.array([None if value is None else cell(value, False) for value in column])
        if pa.types.is_null(arrays[name].type):
            arrays[name] = arrays[name].cast(pa.string())
    return write_file(out, ".parquet", lambda file: pq.write_table(pa.table(arrays), file))


def table_rows(decided: Decided) -> Iterator[dict[str, Any]]:
    """Yield the rows; an original column that has the name of one of ours becomes `original_<name>`."""
    table = decided.table
    names = _names(decided)
    samples = decided.samples
    predicted = _texts(decided, "predicted_label")
    given = _texts(decided, "given_label")
    probability = (
        table["given_label_probability"].tolist() if "given_label_probability" in table else [None] * len(table)
    )
    for i, sample_id in enumerate(decided.counted(samples.ids, len(decided))):
        if decided.ids is not None and sample_id not in decided.ids:
            continue
        decision = decided.decisions.get(sample_id)
        original = original_row(samples.rows[i])
        yield {
            **{names[name]: value for name, value in original.items()},
            "sample_id": sample_id,
            "is_label_issue": bool(decided.is_issue[i]),
            "label_score": (int(decided.ranks[i]) - 1) / max(1, len(decided) - 1),
            "given_label": given[i],
            "predicted_label": predicted[i],
            "action": ACTION_NAMES[decision.action] if decision else None,
            "corrected_label": decision.new_label if decision else None,
            "corrected_text": _corrected_text(decision),
            "oga_score": float(decided.ranked.values[i]),
            "oga_method": decided.method,
            "oga_rank": int(decided.ranks[i]),
            "oga_reason": reason(decided, i, given[i], predicted[i], probability[i]),
            "reviewer": decision.reviewer if decision else None,
            "reviewed_at": (decision.time or None) if decision else None,
        }


def _corrected_text(decision: Decision | None) -> str | None:
    """The new text of an edit; of several, the object of texts by their places."""
    if decision is None or not decision.edit:
        return None
    return decision.edit[0][1] if len(decision.edit) == 1 else decision.edit_json


def reason(decided: Decided, i: int, given: str | None, predicted: str | None, probability: float | None) -> str:
    """Say in one sentence why a sample has its rank."""
    finding = decided.table["reason"].iat[i] if "reason" in decided.table else ""
    if finding:
        return str(finding)
    place = f"{decided.method} ranks it {decided.ranks[i]:,} of {len(decided):,}"
    if given is None or predicted is None or probability is None:
        return f"{place}."
    if given == predicted:
        return f"{place}; the model agrees with {given!r} (probability {probability:.2f})."
    return f"{place}; the model expects {predicted!r} and gives {given!r} a probability of {probability:.2f}."


def _columns(decided: Decided) -> list[str]:
    """All original columns in the order in which they appear, then ours."""
    return [*_names(decided).values(), *OUR_COLUMNS]


def _names(decided: Decided) -> dict[str, str]:
    """What every original column is called here, in the order in which they appear, no two alike."""
    columns = dict.fromkeys(name for row in decided.samples.rows for name in original_row(row))
    names: dict[str, str] = {}
    for column in columns:
        name = column
        while name in OUR_COLUMNS or (name != column and name in columns):
            name = f"original_{name}"
        names[column] = name
    return names


def _texts(decided: Decided, column: str) -> list[str | None]:
    if column not in decided.table:
        return [None] * len(decided)
    return [value if isinstance(value, str) and value else None for value in decided.table[column]]


def cell(value: Any, spreadsheet_safe: bool) -> str:
    """Return a value as text; `spreadsheet_safe` puts ' before what a spreadsheet would run."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if spreadsheet_safe and value.startswith(_FORMULA_STARTS) else value
    if isinstance(value, (bool, int, float, decimal.Decimal, datetime.date, datetime.datetime)):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=str)
