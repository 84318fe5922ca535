"""Rows for fine-tuning in every shape, written in every format of tables."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from reader_sets import write_saved_dataset

N_ROWS = 8
Rows = list[dict[str, Any]]


def chat(i: int, role: str, text: str, names: tuple[str, str, str]) -> list[dict[str, str]]:
    """A conversation of two exchanges."""
    user, assistant, system = names
    turns = [(system, "Be brief."), (user, f"What is {i}?"), (assistant, f"{i} “is”\n{i}")]
    turns += [(user, "And twice that?"), (assistant, f"Twice that is {2 * i}.")]
    return [{role: name, text: content} for name, content in turns]


SHAPES: dict[str, tuple[Rows, str]] = {
    "messages": (
        [
            {"id": f"r{i}", "messages": chat(i, "role", "content", ("user", "assistant", "system")), "source": "a"}
            for i in range(N_ROWS)
        ],
        "/messages/4/content",
    ),
    "conversations": (
        [
            {"conversations": chat(i, "from", "value", ("human", "gpt", "system")), "source": {"page": i}}
            for i in range(N_ROWS)
        ],
        "/conversations/4/value",
    ),
    "alpaca": (
        [{"instruction": f"Add {i}", "input": "to 1" if i % 2 else "", "output": f"{i + 1}, "} for i in range(N_ROWS)],
        "/output",
    ),
    "prompt_completion": (
        [{"prompt": f"{i} + {i} =", "completion": f" {2 * i}", "weight": 1.0} for i in range(N_ROWS)],
        "/completion",
    ),
    "prompt_completion_turns": (
        [
            {
                "prompt": [{"role": "user", "content": f"Say {i}"}],
                "completion": [{"role": "assistant", "content": f"Here: {i}"}],
            }
            for i in range(N_ROWS)
        ],
        "/completion/0/content",
    ),
    "question_answer": ([{"question": f"{i}?", "answer": f'"{i}"; {i}'} for i in range(N_ROWS)], "/answer"),
    "text": ([{"text": f"A text about {i}.\nTwo lines."} for i in range(N_ROWS)], "/text"),
}
"""Rows, and the place of the last response in each."""

FORMATS = ("jsonl", "json", "csv", "parquet", "saved")


def write_rows(folder: Path, rows: Rows, format: str) -> Path:
    """Write rows as JSON lines, a JSON array, CSV, Parquet or a saved data set; nested values of a CSV are JSON."""
    path = folder / f"rows.{format}"
    if format == "jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    elif format == "json":
        path.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    elif format == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=3)
    elif format == "saved":
        return write_saved_dataset(folder / "rows", pa.Table.from_pylist(rows))
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(rows[0])
            for row in rows:
                cells = [json.dumps(value) if isinstance(value, (list, dict)) else value for value in row.values()]
                writer.writerow(cells)
    return path
