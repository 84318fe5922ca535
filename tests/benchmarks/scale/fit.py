"""Measures what scores, findings and map cost at several sizes; prints the model of it that `oga score --plan` reads.

    OMP_NUM_THREADS=1 python tests/benchmarks/scale/fit.py > oga_core/costs/fitted.json

Each size is measured in a process of its own: seconds of the processor and the most memory held beside mapped files.
The classes are Gaussians, a tenth of the labels wrong (see `stages`). What stands on standard error says for each
stage and size what was measured and what the model makes of it. `--table` prints the model's own words on 64 features
and 10 classes. The file there now was measured with one thread on a machine of two cores that did little else.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from stages import CLASSES, FEATURES, Memory, kept, outputs

from oga_core.costs.cost_model import Cost, CostModel, Size
from oga_core.costs.probe import probe_seconds
from oga_core.findings.diagnosis import diagnose
from oga_core.gradient_sketch import GradientSketch
from oga_core.gradients.options import SKETCH_DIM, PassOptions
from oga_core.gradients.passes import outputs_pass
from oga_core.map.projection import project, warm_up
from oga_core.numerics import room_in
from oga_core.scores import compute_scores

SIZES = (
    (500, 16, 2),
    (2000, 32, 3),
    (2000, 256, 10),
    (3000, 64, 50),
    (8000, 16, 4),
    (8000, 64, 10),
    (30000, 32, 4),
    (100000, 64, 10),
    (300000, 64, 10),
    (1000000, 64, 10),
)
"""Samples, features, classes."""
EACH_SCORE = 8000
"""Samples up to which every score is measured by itself too."""
TABLE = (10_000, 100_000, 1_000_000, 10_000_000)
PARALLEL = 0.6
"""Share of the work that all cores do together: two took 0.7 of the time of one where nothing else ran."""


def measure(n_rows: int, n_features: int, n_classes: int) -> dict:
    """Seconds and memory of each stage, and seconds of every score by itself."""
    size = Size(n_rows, n_features, n_classes, min(SKETCH_DIM, n_features * n_classes))
    seconds: dict[str, float] = {}
    memory = Memory()

    def timed(name: str, work: Callable[[], object]) -> object:
        memory.name_of_work = name
        start = time.process_time()
        result = work()
        seconds[name] = time.process_time() - start
        memory.name_of_work = ""
        return result

    with tempfile.TemporaryDirectory() as scratch, room_in(Path(scratch)):
        logits, features, labels, _ = outputs(n_rows, n_features, n_classes)
        outputs_pass(logits, features, labels, folder=Path(scratch), options=PassOptions(device="cpu"))
        del logits, features, labels
        sketch = GradientSketch.load(Path(scratch))
        scores, _ = timed("scores", lambda: compute_scores(sketch, keep=kept))  # type: ignore[misc]
        ids = np.arange(n_rows).astype(str).astype(object)
        classes = [str(label) for label in range(n_classes)]
        timed("findings", lambda: diagnose(sketch, scores["oga"], class_names=classes, ids=ids, groups={}))
        memory.name_of_work = ""
        warm_up()
        timed("map", lambda: project(sketch.sketch))
        stages = dict(seconds)
        for name in scores if n_rows <= EACH_SCORE else ():
            timed(name, lambda name=name: compute_scores(GradientSketch.load(Path(scratch)), [name]))
    each = {name: value for name, value in seconds.items() if name not in stages}
    return {
        "size": asdict(size),
        "seconds": stages,
        "each_score": each,
        "memory_mb": {n: memory.most[n] for n in stages},
    }


def fitted(measured: list[dict]) -> dict:
    """The content of `fitted.json`."""
    result: dict = {"probe_seconds": round(probe_seconds(), 4), "parallel": PARALLEL}
    for part in ("seconds", "each_score", "memory_mb"):
        costs = {}
        for name in sorted(set.union(*(set(each[part]) for each in measured))):
            known = [(Size(**each["size"]), each[part][name]) for each in measured if name in each[part]]
            cost = Cost.fitted(*zip(*known, strict=True))
            costs[name] = asdict(cost)
            if part != "each_score":
                shown = [f"{value:.3g} ({cost.of(size):.3g})" for size, value in known]
                print(part, name, "measured (fitted):", ", ".join(shown), file=sys.stderr)
        result[part] = costs
    return result


def table() -> str:
    """What the fitted model says of 64 features and 10 classes, as the user guide shows it."""
    model = CostModel.load()
    lines = []
    for n_rows in TABLE:
        size = Size(n_rows, FEATURES, CLASSES, SKETCH_DIM)
        seconds = {name: cost.of(size) for name, cost in model.seconds.items()}
        memory = max(cost.of(size) for cost in model.memory_mb.values()) / 1024
        cells = [f"{seconds[name]:,.0f} s" for name in ("scores", "findings", "map")]
        lines.append(f"| {n_rows:,} | {' | '.join(cells)} | {sum(seconds.values()) / 60:,.1f} min | {memory:.1f} GB |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", help="samples,features,classes: print what is measured at this one only")
    parser.add_argument("--table", action="store_true", help="print what the fitted model says, as in the user guide")
    options = parser.parse_args()
    if options.table:
        return print(table())
    if options.size:
        print(json.dumps(measure(*map(int, options.size.split(",")))))
        return
    measured = []
    for size in SIZES:
        command = [sys.executable, __file__, "--size", ",".join(map(str, size))]
        measured.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        print(size, measured[-1]["seconds"], measured[-1]["memory_mb"], file=sys.stderr)
    print(json.dumps(fitted(measured), indent=1))


if __name__ == "__main__":
    main()
