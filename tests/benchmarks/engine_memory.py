"""Peak memory of a pass over 1,000 and over 10,000 samples, result arrays apart, as JSON.

Each size runs in a process of its own; result arrays are memory-mapped files, so that the process's own (anonymous)
memory is what counts. Batches are decoded while others are worked on, so that the peak depends on chance: the smaller
size is passed over as often as gives the same number of samples, each time afresh.

    OMP_NUM_THREADS=1 python tests/benchmarks/engine_memory.py
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch
from made_sets import ArrayTask
from torch import nn

from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass
from oga_core.samples import SampleSet, Source

SIZES = (1_000, 10_000)


class Images:
    """Random images, made when they are asked for."""

    def __init__(self, n: int):
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, row: int) -> np.ndarray:
        return np.random.default_rng(row).normal(size=(3, 32, 32)).astype(np.float32)


def samples_of(n: int) -> SampleSet:
    return SampleSet(
        ids=np.arange(n).astype(str).astype(object),
        inputs=Images(n),
        given_labels=np.arange(n) % 10,
        class_names=tuple(map(str, range(10))),
        modality="image",
        rows=[{}] * n,
        row_numbers=np.arange(n),
        source=Source(Path("memory"), "memory"),
        fingerprint=str(n),
    )


def model() -> nn.Module:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for n_in, n_out in ((3, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(n_in, n_out, 3, 2, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))


def anonymous_megabytes() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


def measure(n: int, parameters: str) -> float:
    """Peak in MB, sampled every 5 ms."""
    torch.set_num_threads(1)
    peak, running = [0.0], True

    def watch() -> None:
        while running:
            peak[0] = max(peak[0], anonymous_megabytes())
            time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    options = PassOptions(parameters=parameters, exact_l1=parameters == "all")
    for _ in range(max(SIZES) // n):
        with tempfile.TemporaryDirectory() as folder:
            gradient_pass(ArrayTask(), model(), samples_of(n), folder=Path(folder), options=options)
    running = False
    watcher.join()
    return peak[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=2, metavar=("N", "PARAMETERS"))
    options = parser.parse_args()
    if options.one:
        print(measure(int(options.one[0]), options.one[1]))
        return
    results = {}
    for parameters in ("head", "all"):
        peaks = {
            n: float(subprocess.check_output([sys.executable, __file__, "--one", str(n), parameters])) for n in SIZES
        }
        small, large = (peaks[n] for n in SIZES)
        results[parameters] = {
            "peak_mb": {n: round(peak, 1) for n, peak in peaks.items()},
            "ratio": round(large / small, 3),
        }
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
