"""What the dashboard's server works and holds for a run of n samples, without a browser: JSON.

    python tests/benchmarks/dashboard/server_parts.py [--n 1000000 10000000] [--folder FOLDER]

Seconds are those of a processor, which other load hardly changes. A filter counts all that a page asks of it: which
samples pass, in order and on the map, tables, and what is expected of them. mb: what the process holds afterwards.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil

from dashboard.run import write_big_run
from oga_app.components.map.points import MapPoints
from oga_core.review import ReviewStore
from oga_core.review.board import DecisionBoard
from oga_core.review.filters import Filters
from oga_core.review.queue import mixed_queue
from oga_core.review.selection import Selection
from oga_core.runs.scored import ScoredRun

FILTERS = {
    "no_filter": Filters(),
    "given": Filters(given="class 1"),
    "prediction": Filters(prediction="another label"),
    "score_range": Filters(score_range=("loss", 1.0, 3.0)),
    "id": Filters(text="t00012"),
    "polygon": Filters(polygon=((-1, -1), (1, -1), (1, 1), (-1, 1))),
}


def parts(path: Path) -> dict[str, dict[str, float]]:
    """Seconds and megabytes of each part, in the order in which a page asks for them."""
    result: dict[str, dict[str, float]] = {}

    def measured(name: str, work: Callable[[], Any]) -> Any:
        begun = time.process_time()
        made = work()
        seconds = round(time.process_time() - begun, 2)
        result[name] = {"cpu_s": seconds, "mb": psutil.Process().memory_info().rss >> 20}
        return made

    data = measured("open", lambda: ScoredRun(path))
    score = data.default_score
    measured("order", lambda: data.rank(score))
    names = {"label_names": data.classes, "finding_names": data.finding_names}
    measured(
        "map",
        lambda: MapPoints.pack(data.positions, data.ranked(score), labels=data.given, findings=data.finding, **names),
    )
    board = DecisionBoard(data, ReviewStore(path / "review.sqlite"))
    expectation = measured("expectation", lambda: board.expectation(score))
    measured("suggestions", lambda: data.suggestions)
    for name, filters in FILTERS.items():

        def page(filters: Filters = filters) -> Selection:
            chosen = Selection.of(filters, data, board, score, len(data) // 10, lambda text: None)
            assert len(chosen.flagged) <= len(chosen.rows)
            chosen.class_shares()
            expectation.within(chosen.by_rank).at(0.1)
            return chosen

        selection = measured(name, page)
    measured("confused_pairs", selection.confused_pairs)
    measured("queue", lambda: mixed_queue(selection))
    return result


def main() -> None:
    """Measure what is asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--folder", type=Path, help="where runs are kept (default: a temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        runs = [write_big_run(options.folder or Path(temporary), n) for n in options.n]
        print(json.dumps({run.name: parts(run) for run in runs}, indent=1))


if __name__ == "__main__":
    main()
