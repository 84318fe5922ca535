"""What scores, findings and map of a bundle of outputs cost: 64 features, 10 classes, a tenth of the labels wrong.

    python tests/benchmarks/scale/stages.py --rows 10000

Prints JSON: seconds of the clock and of the processor for each stage, the dearest scores, the most memory held in MiB
(with what of the mapped files is in memory) and the bytes on disk a sample.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from oga_core.findings.diagnosis import diagnose
from oga_core.gradient_sketch import GradientSketch
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import outputs_pass
from oga_core.projection import project, warm_up
from oga_core.scores import compute_scores
from oga_core.worker.stages import peak_rss_mb

FEATURES = 64
CLASSES = 10


def outputs(n_rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits, features and labels of overlapping Gaussians under the rule that is right for them."""
    random = np.random.default_rng(0)
    truth = random.integers(CLASSES, size=n_rows)
    centres = 0.45 * random.standard_normal((CLASSES, FEATURES))
    features = (centres[truth] + random.standard_normal((n_rows, FEATURES))).astype(np.float32)
    logits = (features @ centres.T - (centres**2).sum(axis=1) / 2).astype(np.float32)
    wrong = random.random(n_rows) < 0.1
    return logits, features, np.where(wrong, (truth + random.integers(1, CLASSES, size=n_rows)) % CLASSES, truth)


@contextmanager
def stage(name: str, result: dict) -> Iterator[None]:
    start = time.perf_counter()
    worked = time.process_time()
    yield
    result[name] = {
        "clock": round(time.perf_counter() - start, 1),
        "processor": round(time.process_time() - worked, 1),
        "peak_mb": peak_rss_mb(),
    }


def measure(n_rows: int, folder: Path) -> dict:
    result: dict = {"rows": n_rows}
    with stage("arrays", result):
        logits, features, labels = outputs(n_rows)
        outputs_pass(logits, features, labels, folder=folder, options=PassOptions(device="cpu"))
    sketch = GradientSketch.load(folder)
    with stage("scores", result):
        scores, seconds = compute_scores(sketch)
    ids = np.arange(n_rows).astype(str).astype(object)
    names = [str(label) for label in range(CLASSES)]
    with stage("findings", result):
        diagnose(sketch, scores["oga"], class_names=names, ids=ids, groups={})
    with stage("compiling UMAP, once a process", result):
        warm_up()
    with stage("map", result):
        project(sketch.sketch)
    dearest = sorted(seconds.items(), key=lambda item: -item[1])[:8]
    size = sum(path.stat().st_size for path in folder.iterdir())
    return result | {"dearest_scores": dict(dearest), "disk_bytes_a_sample": round(size / n_rows)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000)
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(measure(parser.parse_args().rows, Path(scratch)), indent=1))
