"""A whole pass over images in memory: with copies beside the work of the card, and with copies that are waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cards.cases import CLASSES, Images, resnet18
from made_sets import array_samples
from numpy.typing import NDArray

from oga_core.gradients import walk
from oga_core.gradients.cards.transfers import AtOnce, Beside, Transfers
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass
from oga_core.samples import SampleSet
from oga_core.tasks.task import Batch

BATCH = 256
REPEATS = 3
Taken = dict[str, NDArray[np.float32]]
COMPARED = ("losses", "sketch", "l2_norm_all")


class Stored(Images):
    """Images that lie in memory as the model takes them."""

    def batch(self, samples: SampleSet, rows: NDArray[np.int64]) -> Batch:
        return {"x": torch.from_numpy(samples.inputs[rows]), "labels": torch.from_numpy(samples.given_labels[rows])}


def transfer_times(folder: Path, small: bool, device: torch.device) -> dict[str, Any]:
    """Seconds from the first batch to the last, medians; the arrays of both ways, which differ as two repeats do."""
    torch.manual_seed(0)
    model = resnet18(small).model.to(device).eval()
    generator = np.random.default_rng(0)
    n = 64 if small else 64 * BATCH
    images = generator.normal(size=(n, 3, 32, 32)).astype(np.float32)
    samples = array_samples(images, generator.integers(0, CLASSES, n), CLASSES)
    options = PassOptions(parameters="all", batch_size=16 if small else BATCH, precision="bfloat16", device=device.type)
    ways: dict[str, Callable[[], Transfers]] = {"waited for": AtOnce, "beside the work": lambda: Beside(device)}
    times: dict[str, list[float]] = {name: [] for name in ways}
    arrays: dict[str, list[Taken]] = {name: [] for name in ways}
    for repeat in range(REPEATS):
        for name, way in ways.items():
            place = folder / f"{name} {repeat}"
            walk.transfers_for = lambda device, way=way: way()  # type: ignore[misc]
            seen: list[float] = []
            gradient_pass(
                Stored(),
                model,
                samples,
                folder=place,
                options=options,
                progress=lambda event, seen=seen: seen.append(time.perf_counter()),  # type: ignore[misc]
            )
            times[name].append(seen[-1] - seen[0])
            arrays[name].append({array: np.load(place / f"{array}.npy") for array in COMPARED})
    return {
        "difference of the ways": difference(arrays["waited for"][0], arrays["beside the work"][0]),
        "difference of repeats": difference(arrays["waited for"][0], arrays["waited for"][-1]),
        **{name: {"seconds": round(float(np.median(values)), 4)} for name, values in times.items()},
    }


def difference(one: Taken, other: Taken) -> float:
    """The largest difference of two arrays of one name, relative to the largest number."""
    return max(float(np.abs(one[name] - other[name]).max() / np.abs(one[name]).max()) for name in one)
