"""`oga ask`: which training rows made the model say it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from oga_app.background.progress import ProgressLine
from oga_core.errors import OgaError

_WIDTH = 90  # characters of a row's text on its line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    from oga_core.ask.methods import METHODS, OF_SKETCHES, OF_WHOLE

    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--prompt", help="what the model is asked")
    parser.add_argument("--response", help="what it says (the model writes it, its likeliest token each time)")
    parser.add_argument("--file", type=Path, help="rows with prompts and responses, answered together and each")
    default = f"{OF_WHOLE} on whole gradients, {OF_SKETCHES} on sketches"
    parser.add_argument("--method", help=f"{', '.join(METHODS)} ({default})")
    parser.add_argument("--top", type=int, default=10, help="rows of each list (10)")


def ask(options: argparse.Namespace) -> dict[str, Any] | None:
    """Ask, and print two lists for a person; what is returned is printed for machines."""
    from oga_core.ask.asker import Asker
    from oga_core.runs.folder import RunFolder

    if (options.prompt is None) == (options.file is None):
        raise OgaError("Give either a prompt with --prompt, or a file of rows with --file.")
    progress = ProgressLine()
    progress({"stage": "reading data and model"})
    asker = Asker(RunFolder.open(options.run), file=options.file)
    settings = {"method": options.method, "top": options.top}
    try:
        if options.file is not None:
            answer = asker.about_file(**settings)
        else:
            answer = asker.about(options.prompt, options.response, **settings)
    finally:
        asker.close()
        progress.close()
    if options.json or not sys.stdout.isatty():
        return answer.as_json()
    for query in answer.queries:
        if query.get("generated"):
            print(f"The model says: {query['response']}")
    for title, rows in (("Pushed for it", answer.pushed_for), ("Pushed against it", answer.pushed_against)):
        print(f"\n{title}, by {answer.method}:")
        for row in rows.itertuples():
            text = " ".join(str(row.text).split())
            print(f"{row.score:10.3g}  words {row.words:4.0%}  {row.id}  {text[:_WIDTH]}")
    return None
