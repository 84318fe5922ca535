"""What scores, findings and map of a bundle of outputs cost: 64 features, 10 classes, a tenth of the labels wrong.

    python tests/benchmarks/scale/stages.py --rows 10000 [--save scores.npz]

Prints JSON: seconds of the clock and of the processor for each stage, the dearest scores, the most memory in MiB that
each stage and the hungriest scores held (of their own, and with what of the mapped files is in memory), how much of it
are results (scores lie in files as in a run, columns of findings and places on the map in memory), the bytes on disk a
sample, and the average precision of every score, with the labels that were made wrong as the truth.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score

from oga_core.findings.diagnosis import diagnose
from oga_core.gradient_sketch import GradientSketch
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import outputs_pass
from oga_core.map.projection import project, warm_up
from oga_core.numerics import filled, room, room_in
from oga_core.scores import compute_scores
from oga_core.worker.stages import peak_rss_mb

AT_ONCE = 1_000_000
FEATURES = 64
CLASSES = 10
SPREAD = 3.6
"""How far apart the classes are: near enough that one in ten samples looks like another one's."""


def outputs(
    n_rows: int, n_features: int = FEATURES, n_classes: int = CLASSES
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Logits, features, labels and which are wrong, of overlapping Gaussians under the rule that is right for them."""
    logits, features, labels, is_wrong = zip(*blocks_of_outputs(n_rows, n_features, n_classes), strict=True)
    return np.concatenate(logits), np.concatenate(features), np.concatenate(labels), np.concatenate(is_wrong)


def blocks_of_outputs(
    n_rows: int, n_features: int = FEATURES, n_classes: int = CLASSES
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """The same in blocks of a million rows."""
    random = np.random.default_rng(0)
    centres = np.zeros(0)
    for start in range(0, n_rows, AT_ONCE):
        size = min(AT_ONCE, n_rows - start)
        truth = random.integers(n_classes, size=size)
        if not start:
            centres = SPREAD / np.sqrt(n_features) * random.standard_normal((n_classes, n_features))
        features = (centres[truth] + random.standard_normal((size, n_features))).astype(np.float32)
        logits = (features @ centres.T - (centres**2).sum(axis=1) / 2).astype(np.float32)
        is_wrong = random.random(size) < 0.1
        labels = np.where(is_wrong, (truth + random.integers(1, n_classes, size=size)) % n_classes, truth)
        yield logits, features, labels, is_wrong


class Memory(threading.Thread):
    """The most memory of its own, without files that are mapped, that this process held under each name, in MiB."""

    def __init__(self):
        super().__init__(daemon=True)
        self.name_of_work = ""
        self.most: dict[str, int] = {}
        self.start()

    def run(self) -> None:
        while True:
            _, resident, shared, *_ = Path("/proc/self/statm").read_text().split()
            own = (int(resident) - int(shared)) * resource.getpagesize() >> 20
            self.most[self.name_of_work] = max(own, self.most.get(self.name_of_work, 0))
            time.sleep(0.01)


@contextmanager
def stage(name: str, result: dict, memory: Memory) -> Iterator[None]:
    start = time.perf_counter()
    worked = time.process_time()
    memory.name_of_work = name
    yield
    result[name] = {
        "clock": round(time.perf_counter() - start, 1),
        "processor": round(time.process_time() - worked, 1),
        "own_peak_mb": memory.most.get(name, 0),
        "peak_so_far_mb": peak_rss_mb(),
    }


def kept(name: str, values: np.ndarray) -> np.ndarray:
    """The score in a file, as a run keeps it until its table is written."""
    return filled(room(values.shape, values.dtype), values.__getitem__)


def precisions(scores: dict[str, np.ndarray], is_wrong: np.ndarray) -> dict[str, float]:
    return {name: round(float(average_precision_score(is_wrong, values)), 4) for name, values in scores.items()}


def measure(n_rows: int, folder: Path, save: Path | None = None) -> dict:
    result: dict = {"rows": n_rows}
    memory = Memory()
    with stage("arrays", result, memory):
        logits, features, labels, is_wrong = outputs(n_rows)
        outputs_pass(logits, features, labels, folder=folder, options=PassOptions(device="cpu"))
        del logits, features, labels
    sketch = GradientSketch.load(folder)

    def begun(name: str, done: int, total: int) -> None:
        memory.name_of_work = f"score {name}"

    with stage("scores", result, memory):
        scores, seconds = compute_scores(sketch, progress=begun, keep=kept)
    if save:
        np.savez(save, is_wrong=is_wrong, **scores)
    result["average_precision"] = precisions(scores, is_wrong)
    ids = np.arange(n_rows).astype(str).astype(object)
    names = [str(label) for label in range(CLASSES)]
    with stage("findings", result, memory):
        columns = diagnose(sketch, scores["oga"], class_names=names, ids=ids, groups={}).columns
    result["findings"]["results_mb"] = sum(values.nbytes for values in (ids, *columns.values())) >> 20
    del columns
    with stage("compiling UMAP, once a process", result, memory):
        warm_up()
    with stage("map", result, memory):
        positions = project(sketch.sketch)
    result["map"]["results_mb"] = positions.nbytes >> 20
    dearest = sorted(seconds.items(), key=lambda item: -item[1])[:8]
    size = sum(path.stat().st_size for path in folder.iterdir())
    of_scores = sorted(
        ((name, most) for name, most in memory.most.items() if name.startswith("score ")), key=lambda item: -item[1]
    )
    return result | {
        "dearest_scores": dict(dearest),
        "hungriest_scores_mb": dict(of_scores[:12]),
        "disk_bytes_a_sample": round(size / n_rows),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--save", type=Path, help="where the scores are kept, to be compared with those of other code")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, room_in(Path(scratch)):
        print(json.dumps(measure(options.rows, Path(scratch), options.save), indent=1))
