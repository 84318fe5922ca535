"""Preference pairs in the forms that TRL and OpenAI document."""

from __future__ import annotations

from typing import Any

USER = {"role": "user", "content": "the quick ?"}
GOOD = {"role": "assistant", "content": "brown fox jumps"}
BAD = {"role": "assistant", "content": "lazy dog"}
N_PAIRS = 6


def texts(i: int) -> dict[str, Any]:
    return {"prompt": f"the quick {i} ?", "chosen": " brown fox" + " jumps" * i, "rejected": f" lazy {i}"}


def implicit(i: int) -> dict[str, Any]:
    row = texts(i)
    return {name: row["prompt"] + row[name] for name in ("chosen", "rejected")}


def turns(i: int) -> dict[str, Any]:
    user = {"role": "user", "content": f"the quick {i} ?"}
    return {"prompt": [user], "chosen": [{**GOOD, "content": f"fox {i}"}], "rejected": [{**BAD, "content": "dog " * i}]}


def implicit_turns(i: int) -> dict[str, Any]:
    row = turns(i)
    return {name: [*row["prompt"], *row[name]] for name in ("chosen", "rejected")}


def openai(i: int) -> dict[str, Any]:
    row = turns(i)
    return {
        "input": {"messages": row["prompt"], "tools": [], "parallel_tool_calls": True},
        "preferred_output": row["chosen"],
        "non_preferred_output": row["rejected"],
    }


FORMS = {
    form.__name__: [form(i) for i in range(1, N_PAIRS + 1)] for form in (texts, implicit, turns, implicit_turns, openai)
}
