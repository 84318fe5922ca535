"""Blocks of code in Markdown files, run as a reader would paste them: from top to bottom, in one namespace."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def python_blocks(document: Path) -> Iterator[tuple[int, str]]:
    """Yield the line at which each block of Python in `document` begins, and its source."""
    text = document.read_text(encoding="utf-8")
    for block in _BLOCK.finditer(text):
        yield text.count("\n", 0, block.start(1)) + 1, block.group(1)


def run_blocks(document: Path, names: dict[str, Any], *, without: str | None = None) -> dict[str, Any]:
    """Run the blocks of `document`, with `names` known from the start; return the names that they leave.

    without: leave out the blocks that hold this text, which stand for themselves.
    """
    for line, source in python_blocks(document):
        if without is None or without not in source:
            padded = "\n" * (line - 1) + source  # a traceback then shows the line in the document
            exec(compile(padded, str(document), "exec"), names)  # noqa: S102
    return names
