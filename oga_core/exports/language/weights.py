"""Rows for training with a weight each, in place of leaving the bad ones out."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from oga_core.exports.decided import Decided, original_row
from oga_core.exports.language import require_language
from oga_core.files import write_whole
from oga_core.numerics import Values
from oga_core.readers.answers.responses import is_response, turns_of
from oga_core.readers.tables.delimited import DELIMITERS
from oga_core.threshold.expectation import Expectation

WEIGHT = "weight"
_CHATS = ("messages", "conversations")


def weights(decided: Decided) -> Values:
    """Return the weight of every sample, `(n_samples,)`, 0 to 1.

    0 where the person removed it, 1 where they kept or corrected it. Where nobody decided, the probability that the
    sample is good, as the verdicts so far tell for its rank; 1 as long as there are no verdicts to tell by, and where
    the machine's proposal is applied.
    """
    verdicts = {key: made for key, made in decided.decisions.items() if made.is_verdict}
    judged = [i for i, key in enumerate(decided.samples.ids) if key in verdicts]
    if not judged or decided.apply != "decisions":
        return np.array([float(key not in decided.edits.removed) for key in decided.samples.ids])
    made = [verdicts[decided.samples.ids[i]] for i in judged]
    bad = np.array([decision.is_bad for decision in made])
    expectation = Expectation(decided.ranked, np.array(judged), bad, **decided.beliefs)
    result: Values = 1 - expectation.probability()
    result[judged] = [float(decision.action != "remove") for decision in made]
    return result


def write_weighted(decided: Decided, out: Path, _: bool) -> Path:
    """Write all rows, as edited, with a column `weight`; in a chat, each of the model's turns has 0 or 1 as well.

    A weight that the data had counts too: the two are multiplied. CSV stays CSV, JSON stays JSON, all else is Parquet.
    """
    require_language(decided.samples.modality)
    rows = [_weighted(original_row(decided.final_row(i)), weight) for i, weight in enumerate(weights(decided).tolist())]
    source = decided.samples.source
    suffix = source.path.suffix if source.format in _WRITERS else ".parquet"
    target = out if out.suffix else out.with_name(out.name + suffix)
    write = _WRITERS.get(source.format, _parquet)
    write_whole(target, lambda path: write(rows, path))
    return target


def _weighted(row: dict[str, Any], weight: float) -> dict[str, Any]:
    """A row with its weight; turns of a weight above 0 keep what the data gave them."""
    result = dict(row)
    for name, value in row.items():
        turns = turns_of(value) if name.strip().casefold() in _CHATS else None
        if turns is not None:
            weighted = [_weighted_turn(turn, weight) if is_response(turn) else turn for turn in turns]
            result[name] = json.dumps(weighted, ensure_ascii=False) if isinstance(value, str) else weighted
    result[WEIGHT] = round(weight * _number(row.get(WEIGHT)), 6)
    return result


def _weighted_turn(turn: Mapping[str, Any], weight: float) -> dict[str, Any]:
    return {**turn, WEIGHT: int(weight > 0 and _number(turn.get(WEIGHT)) > 0)}


def _number(value: Any) -> float:
    """A weight of the data; 1 where there is none."""
    try:
        return 1.0 if value in (None, "") else float(value)
    except (TypeError, ValueError):
        return 1.0


def _json_lines(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    lines = [json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8")


def _json_array(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    path.write_text(json.dumps(rows, ensure_ascii=False, indent=1, default=str), encoding="utf-8")


def _delimited(rows: Sequence[Mapping[str, Any]], path: Path, *, delimiter: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _parquet(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(list(map(dict, rows))), path)


_WRITERS: dict[str, Callable[[Sequence[Mapping[str, Any]], Path], None]] = {
    "json": _json_array,
    "jsonl": _json_lines,
    **{format: partial(_delimited, delimiter=delimiter) for format, delimiter in DELIMITERS.items()},
}
"""For the formats that stay as they are; all others become Parquet."""
