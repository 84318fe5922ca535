"""`oga verify`: does trimming help, and do the rows that pushed for a response make the model say it?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from oga_app.background.progress import ProgressLine
from oga_core.errors import OgaError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add = parser.add_argument
    add("run", type=Path, metavar="RUN")
    add("--trim-fraction", type=float, help="share of the samples to trim (the run's suggestion)")
    add("--score", help="score that ranks the samples (the run's default)")
    add("--validation", type=Path, help="clean data to judge on (else a held-out part of the data)")
    add("--depth", help="head or all: how much of the model is trained again (head, where it has one to train)")
    add("--seeds", type=int, default=3, help="trainings of each arm (3)")
    add("--truth", type=Path, help="CSV of true labels: also trim the truly wrong")
    add("--curve", action="store_true", help="trim, and relabel, shares from 2.5 %% to the noise rate too")
    add("--min-gain", type=float, help="end with status 3 where the gain may be below this (0 to 1)")
    add("--prompt", help="of a language model: also train without the rows that pushed for its response")
    add("--response", help="what it says to the prompt (the model writes it)")
    add("--questions", type=Path, help="a file of prompts and responses in place of one")


def verify(options: argparse.Namespace) -> dict[str, Any]:
    """Retrain, compare and return the summary."""
    from oga_core.evaluation.truth import truly_wrong
    from oga_core.retrain import verify
    from oga_core.runs.folder import RunFolder

    if options.prompt is not None and options.questions is not None:
        raise OgaError("Give either a prompt with --prompt, or a file of prompts and responses with --questions.")
    if options.response is not None and options.prompt is None:
        raise OgaError("A response answers a prompt. Give it with --prompt.")
    progress, run = ProgressLine(), RunFolder.open(options.run)
    names = ("trim_fraction", "score", "validation", "depth", "seeds", "curve", "min_gain")
    wrong = truly_wrong(run, options.truth) if options.truth else ()
    chosen = {name: getattr(options, name) for name in names}
    question = options.questions if options.prompt is None else (options.prompt, options.response)
    result = verify(run, truly_wrong=wrong, question=question, progress=progress, **chosen)
    progress.close()
    return result
