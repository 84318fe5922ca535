"""How well near-duplicates are found among real photographs in which copies of some are planted; prints JSON.

Run: OMP_NUM_THREADS=1 python tests/benchmarks/findings/duplicates.py [--data DIR] [--copies N] [--seed N]

Per kind of copy: the share whose original is found, and of all samples found the share that is planted. The set's own
duplicates, which nobody planted, are counted apart.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2] / "findings"))
from copies import COPIES, recall_and_precision

from oga_core.findings.image_duplicates import image_duplicates
from oga_core.readers import read_samples
from oga_core.tasks.thumbnails import thumbnails

DATA = Path(os.environ.get("OGA_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))


def thumbnails_of(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """As the gradient pass makes them."""
    return thumbnails({"images": torch.from_numpy(images).permute(0, 3, 1, 2)})["thumbnails"].numpy()


def main() -> None:
    """Plant copies of each kind in turn and look for them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--copies", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = options.data / "cifar10n"
    samples = read_samples(folder / "images.zip", labels=folder / "labels_worse.csv")
    images = np.stack([np.asarray(samples.inputs[row].convert("RGB")) for row in range(len(samples))])
    small = thumbnails_of(images)
    own = image_duplicates(small) >= 0
    results: dict[str, dict[str, float]] = {}
    for kind, copy in COPIES.items():
        source = np.random.default_rng(options.seed).choice(np.flatnonzero(~own), options.copies, replace=False)
        start = time.process_time()
        copies = thumbnails_of(np.stack([copy(images[row]) for row in source]))
        found = image_duplicates(np.concatenate([small, copies]))
        found[: len(images)][own] = -1
        recall, precision = recall_and_precision(found, len(images), source)
        results[kind] = {
            "recall": round(recall, 3),
            "precision": round(precision, 3),
            "cpu_seconds": round(time.process_time() - start, 1),
        }
    print(json.dumps({"images": len(images), "duplicates_of_its_own": int(own.sum()), **results}, indent=1))


if __name__ == "__main__":
    main()
