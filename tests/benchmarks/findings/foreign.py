"""How well foreign files are found among real photographs, when they come in a batch and one by one; prints JSON.

Run: OMP_NUM_THREADS=1 python tests/benchmarks/findings/foreign.py [--data DIR] [--model aggre|worse]
     [--photographs N] [--batch N] [--seed N]

Foreign are drawn digits, pages of text, charts, screens, noise, plain colours, and pieces of two large photographs;
and codes, terminals and heat maps, which how batches are told was not chosen by (how single files are was, on a draw
with seed 1). Each kind is put in as a batch, and one file of each kind by itself, many times over. Recall is the share
of foreign files that are called out of distribution; precision the share of all that are called so which is foreign.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).parents[1]))
from made_sets import sketch_of

from oga_core.findings.kinds import STRANGE, find
from oga_core.gradient_sketch import GradientSketch
from oga_core.models import load_model
from oga_core.readers import read_samples
from oga_core.samples import SampleSet
from oga_core.tasks import task_for

DATA = Path(os.environ.get("OGA_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
SIDE = 32
REPEATS = 8
Draw = Callable[[np.random.Generator], Image.Image]
WORDS = ("the", "of", "and", "to", "in", "is", "that", "for", "it", "was", "on", "are", "as", "with", "be", "his")


def digit(rng: np.random.Generator) -> Image.Image:
    """A handwritten digit, dark on light or light on dark."""
    from sklearn.datasets import load_digits

    images = load_digits().images
    pixels = images[rng.integers(len(images))] * 15.9
    pixels = 255 - pixels if rng.random() < 0.5 else pixels
    return Image.fromarray(pixels.astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def page(rng: np.random.Generator) -> Image.Image:
    """A piece of a page of text."""
    image = Image.new("RGB", (96, 96), tuple(rng.integers(225, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for line in range(-4, 96, 11):
        draw.text((-3, line), " ".join(rng.choice(WORDS, 6)), fill=tuple(rng.integers(0, 60, 3).tolist()))
    return image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)


def chart(rng: np.random.Generator) -> Image.Image:
    """Lines and bars on white."""
    image = Image.new("RGB", (96, 96), "white")
    draw = ImageDraw.Draw(image)
    draw.line((10, 5, 10, 86, 92, 86), fill="black", width=2)
    heights = rng.integers(15, 80, 6)
    colour = tuple(rng.integers(0, 200, 3).tolist())
    for number, height in enumerate(heights):
        if rng.random() < 0.5:
            draw.rectangle((15 + 13 * number, 86 - int(height), 24 + 13 * number, 85), fill=colour)
    draw.line([(15 + 13 * number, 86 - int(height)) for number, height in enumerate(heights)], fill=colour, width=3)
    return image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)


def screen(rng: np.random.Generator) -> Image.Image:
    """Windows of plain colours with a few lines of text."""
    image = Image.new("RGB", (96, 96), tuple(rng.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for _ in range(3):
        left, top = (int(value) for value in rng.integers(0, 60, 2))
        draw.rectangle((left, top, left + 40, top + 30), fill=tuple(rng.integers(200, 256, 3).tolist()))
        draw.rectangle((left, top, left + 40, top + 7), fill=tuple(rng.integers(0, 256, 3).tolist()))
        draw.text((left + 2, top + 10), str(rng.choice(WORDS)), fill="black")
    return image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)


def noise(rng: np.random.Generator) -> Image.Image:
    """Every pixel at random."""
    return Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))


def colour(rng: np.random.Generator) -> Image.Image:
    """One colour."""
    return Image.new("RGB", (SIDE, SIDE), tuple(rng.integers(0, 256, 3).tolist()))


def piece(rng: np.random.Generator) -> Image.Image:
    """A piece of a photograph of a temple or of a flower: photographs too, of none of the classes."""
    from sklearn.datasets import load_sample_images

    image = load_sample_images().images[rng.integers(2)]
    size = int(rng.integers(64, 256))
    top, left = rng.integers(image.shape[0] - size), rng.integers(image.shape[1] - size)
    return Image.fromarray(image[top : top + size, left : left + size]).resize((SIDE, SIDE), Image.Resampling.BILINEAR)


def code(rng: np.random.Generator) -> Image.Image:
    """Black and white squares, as in a QR code."""
    squares = rng.integers(0, 2, (12, 12)).astype(np.uint8) * 255
    return Image.fromarray(np.pad(squares, 2, constant_values=255)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)


def terminal(rng: np.random.Generator) -> Image.Image:
    """Light text on a dark ground."""
    image = Image.new("RGB", (96, 96), tuple(rng.integers(0, 40, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for line in range(2, 96, 12):
        words = " ".join(rng.choice(WORDS, rng.integers(1, 5)))
        draw.text((3, line), words, fill=tuple(rng.integers(120, 256, 3).tolist()))
    return image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)


def heat_map(rng: np.random.Generator) -> Image.Image:
    """A smooth field from blue over green to red."""
    field = np.asarray(
        Image.fromarray(rng.random((5, 5)).astype(np.float32)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    )
    field = np.clip(field, 0, 1)[..., None]
    return Image.fromarray((255 * np.clip(1.5 - np.abs(4 * field - [3, 2, 1]), 0, 1)).astype(np.uint8))


KINDS: dict[str, Draw] = {
    "digits": digit,
    "pages": page,
    "charts": chart,
    "screens": screen,
    "noise": noise,
    "plain colours": colour,
    "pieces of photographs": piece,
}
NEW_KINDS: dict[str, Draw] = {"codes": code, "terminals": terminal, "heat maps": heat_map}
"""Which nothing was chosen by."""


def with_foreign(samples: SampleSet, images: list[Image.Image], rng: np.random.Generator) -> SampleSet:
    """The photographs and behind them the foreign files, under random labels."""
    n_foreign = len(images)
    names = np.array([f"foreign-{number}" for number in range(n_foreign)], dtype=object)
    n_samples = len(samples) + n_foreign
    return replace(
        samples,
        ids=np.concatenate([samples.ids, names]),
        inputs=[*(samples.inputs[row] for row in range(len(samples))), *(image.convert("RGB") for image in images)],
        given_labels=np.concatenate([samples.given_labels, rng.integers(len(samples.class_names), size=n_foreign)]),
        rows=[{}] * n_samples,
        row_numbers=np.arange(n_samples),
        fingerprint="foreign",
    )


def found(sketch: GradientSketch, n_photographs: int, foreign: NDArray[np.int64]) -> tuple[float, float, float]:
    """Recall, precision and the area under the ROC curve of the foreign files at `foreign` among the photographs."""
    from sklearn.metrics import roc_auc_score

    findings = find(sketch.take(np.concatenate([np.arange(n_photographs), foreign])))
    strange = findings.kind == STRANGE
    is_foreign = np.arange(len(findings)) >= n_photographs
    precision = float(is_foreign[strange].mean()) if strange.any() else 0.0
    return float(strange[is_foreign].mean()), precision, float(roc_auc_score(is_foreign, findings.unusualness))


def measured(sketch: GradientSketch, n_photographs: int, batch: int) -> dict[str, Any]:
    """Each kind as a batch, and one file of each kind at a time, over all of which recall and precision are taken."""
    start = {kind: n_photographs + number * batch for number, kind in enumerate(KINDS | NEW_KINDS)}
    results: dict[str, Any] = {}
    for kind, first in start.items():
        values = found(sketch, n_photographs, first + np.arange(batch))
        results[kind] = dict(zip(("recall", "precision", "auroc"), (round(value, 3) for value in values), strict=True))
    for name, kinds in (("one of each", KINDS), ("one of each new kind", NEW_KINDS)):
        first_ones = np.array([start[kind] for kind in kinds])
        singly = [found(sketch, n_photographs, first_ones + repeat) for repeat in range(min(REPEATS, batch))]
        means = np.mean(singly, axis=0).round(3).tolist()
        results[name] = dict(zip(("recall", "precision", "auroc"), means, strict=True))
    return results


def main() -> None:
    """Take one pass over all, and look for the foreign files of each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--model", choices=("aggre", "worse"), default="aggre", help="and the labels it learnt")
    parser.add_argument("--photographs", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = options.data / "cifar10n"
    loaded = load_model(folder / f"model_{options.model}.safetensors")
    samples = read_samples(
        folder / "images.zip", labels=folder / f"labels_{options.model}.csv", max_samples=options.photographs
    ).with_classes(loaded.card.classes)
    rng = np.random.default_rng(options.seed)
    images = [draw(rng) for draw in (KINDS | NEW_KINDS).values() for _ in range(options.batch)]
    begin = time.process_time()
    sketch, _ = sketch_of(task_for(loaded.card), loaded.module, with_foreign(samples, images, rng), views=True)
    results = measured(sketch, len(samples), options.batch)
    alone = find(sketch.take(np.arange(len(samples)))).kind == STRANGE
    facts = {"photographs": len(samples), "called_out_of_distribution_without_any": int(alone.sum())}
    print(json.dumps({**facts, **results, "cpu_seconds": round(time.process_time() - begin, 1)}, indent=1))


if __name__ == "__main__":
    main()
