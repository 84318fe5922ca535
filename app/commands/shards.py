"""`oga merge`: the shards of a run become one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from oga_app.background.progress import ProgressLine
from oga_app.commands.score import summary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("run", type=Path, metavar="RUN", help="the run folder of the shards")
    parser.add_argument("--previous", type=Path, help="an earlier run, whose decisions are carried over")


def merge(options: argparse.Namespace) -> dict[str, Any]:
    """Join and score, and return the summary for a person."""
    from oga_core.shards.merge import merge

    progress = ProgressLine(options.run / "progress.json")
    run = merge(options.run, progress, previous=options.previous)
    progress.close()
    return summary(run)
