"""The data sets of the detection benchmark by name; here photographs and sentences, with labels people or chance gave.

Each set is a function of a seed that returns samples under one trained model, as the gradient pass leaves them.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from made_sets import BenchmarkSet, Made, Settings, flipped, gaussians, moons, sketch_of, table
from numpy.typing import NDArray
from table_sets import BUNDLES, CLEAN, RARE_CLASS, TABLES, Bundle, Table
from torch import Tensor, nn

from oga_core.models import load_model, load_weights
from oga_core.models.card import ModelCard
from oga_core.readers import read_samples
from oga_core.samples import SampleSet
from oga_core.tasks import Task, task_for


@dataclass(frozen=True)
class Photographs:
    """CIFAR-10N photographs with the labels people gave, under the shared model, or one that memorised its labels."""

    labels: str
    memorised: bool = False
    seeds: int = 1
    checkpoint_epochs: tuple[int, ...] = field(default=(3, 6, 10, 16))
    epochs: int = 30

    def __call__(self, settings: Settings, seed: int) -> BenchmarkSet:
        folder = settings.data / "cifar10n"
        loaded = load_model(folder / f"model_{self.labels}.safetensors")
        task, model = task_for(loaded.card), copy.deepcopy(loaded.module)
        samples = read_samples(
            folder / "images.zip", labels=folder / f"labels_{self.labels}.csv", max_samples=settings.max_samples
        ).with_classes(loaded.card.classes)
        clean = read_samples(folder / "test.zip").with_classes(loaded.card.classes)
        weights = sorted((folder / f"checkpoints_{self.labels}").glob("*.safetensors"))
        if self.memorised:
            *weights, final = self._memorised(settings, model, task, samples, seed)
            load_weights(model, final)
        sketch, seconds = sketch_of(task, model, samples, views=True)
        validation, _ = sketch_of(task, model, clean)
        checkpoints, along = [], []
        for path in weights:
            load_weights(model, path)
            checkpoints.append(sketch_of(task, model, samples)[0])
            along.append(sketch_of(task, model, clean)[0])
        wrong = _wrong(samples, folder / "truth.csv")
        return BenchmarkSet(sketch, wrong, validation, tuple(checkpoints), tuple(along), pass_seconds=seconds)

    def _memorised(self, settings: Settings, model: nn.Module, task: Task, samples: SampleSet, seed: int) -> list[Path]:
        """Weights of a network trained from scratch without augmentation, at some epochs and the last; cached."""
        name = f"memorised_{self.labels}_{seed}_{len(samples)}"
        paths = [settings.cache / f"{name}_{epoch:02d}.safetensors" for epoch in (*self.checkpoint_epochs, self.epochs)]
        if not all(path.exists() for path in paths):
            from safetensors.torch import save_file

            from oga_core.retrain.training import reinitialise

            torch.manual_seed(seed)
            reinitialise(model)
            batch = task.batch(samples, np.arange(len(samples)))
            for epoch, _ in enumerate(_fit(model, batch["images"], batch["labels"], self.epochs), start=1):
                if epoch in (*self.checkpoint_epochs, self.epochs):
                    save_file(model.state_dict(), settings.cache / f"{name}_{epoch:02d}.safetensors")
        return paths


@dataclass(frozen=True)
class FlippedPhotographs:
    """The photographs with a tenth of their true labels moved to another class at random, and a ResNet trained on that.

    The setting in which dattri publishes how well attribution finds noisy labels: on CIFAR-10 with ResNet-9 an area
    under the ROC curve of 0.67 for TRAK with fifty models and of 0.51 for TracIn.
    """

    share: float = 0.1
    epochs: int = 5
    seeds: int = 1

    def __call__(self, settings: Settings, seed: int) -> BenchmarkSet:
        folder = settings.data / "cifar10n"
        loaded = load_model(folder / "model_aggre.safetensors")
        samples = read_samples(
            folder / "images.zip",
            labels=folder / "truth.csv",
            label_column="true_label",
            max_samples=settings.max_samples,
        ).with_classes(loaded.card.classes)
        rng = np.random.default_rng([seed, 10])
        rows = rng.choice(len(samples), round(self.share * len(samples)), replace=False)
        given = flipped(samples.given_labels, rows, len(loaded.card.classes), rng)
        wrong = given != samples.given_labels
        samples = replace(samples, given_labels=given, fingerprint=f"flipped-{seed}")
        model, task = loaded.module, task_for(loaded.card)
        path = settings.cache / f"flipped_{seed}_{self.epochs}_{len(samples)}.safetensors"
        if not path.exists():
            self._train(model, task, samples, path, seed)
        load_weights(model, path)
        sketch, seconds = sketch_of(task, model, samples, views=True)
        return BenchmarkSet(sketch, wrong, pass_seconds=seconds)

    def _train(self, model: nn.Module, task: Task, samples: SampleSet, path: Path, seed: int) -> None:
        from safetensors.torch import save_file

        from oga_core.retrain.training import reinitialise

        torch.manual_seed(seed)
        reinitialise(model)
        batch = task.batch(samples, np.arange(len(samples)))
        for _ in _fit(model, batch["images"], batch["labels"], self.epochs):
            pass
        save_file(model.state_dict(), path)


def _fit(model: nn.Module, images: Tensor, labels: Tensor, epochs: int) -> Any:
    """SGD with a one-cycle rate and no augmentation; yields after each epoch."""
    size, steps = 128, epochs * (len(images) // 128)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.2, total_steps=steps, pct_start=0.3)
    for _ in range(epochs):
        model.train()
        for rows in torch.randperm(len(images))[: len(images) // size * size].split(size):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[rows]), labels[rows]).backward()
            optimizer.step()
            schedule.step()
        yield model.eval()


def _wrong(samples: SampleSet, truth: Path) -> NDArray[np.bool_]:
    true = pd.read_csv(truth, dtype=str, keep_default_na=False, index_col=0)["true_label"]
    given = np.array(samples.class_names, dtype=object)[samples.given_labels]
    return np.asarray(given != true.loc[list(samples.ids)].to_numpy(), dtype=bool)


@dataclass(frozen=True)
class Sentences:
    """SST-2 sentences with a fifth of the labels flipped, under the shared model."""

    seeds: int = 1

    def __call__(self, settings: Settings, seed: int) -> BenchmarkSet:
        task, model, samples, clean = _sentences(settings)
        sketch, seconds = sketch_of(task, model, samples)
        wrong = _wrong(samples, settings.data / "sst2" / "truth.csv")
        return BenchmarkSet(sketch, wrong, sketch_of(task, model, clean)[0], pass_seconds=seconds)


@dataclass(frozen=True)
class OneSidedSentences:
    """The sentences with 35 % of the positive ones called negative, the top layer and head fine-tuned on that."""

    share: float = 0.35
    epochs: int = 2
    seeds: int = 1

    def __call__(self, settings: Settings, seed: int) -> BenchmarkSet:
        task, model, samples, clean = _sentences(settings)
        wrong = _wrong(samples, settings.data / "sst2" / "truth.csv")
        true = np.where(wrong, 1 - samples.given_labels, samples.given_labels)
        positive = np.flatnonzero(true == 1)
        rng = np.random.default_rng([seed, 35])
        given = true.copy()
        given[rng.choice(positive, round(self.share * len(positive)), replace=False)] = 0
        samples = replace(samples, given_labels=given, fingerprint=f"one-sided-{seed}")
        path = settings.cache / f"one_sided_{seed}_{len(samples)}.safetensors"
        if not path.exists():
            self._fine_tune(model, task, samples, path, seed)
        load_weights(model, path)
        sketch, seconds = sketch_of(task, model, samples)
        return BenchmarkSet(sketch, given != true, sketch_of(task, model, clean)[0], pass_seconds=seconds)

    def _fine_tune(self, model: nn.Module, task: Task, samples: SampleSet, path: Path, seed: int) -> None:
        from safetensors.torch import save_file

        torch.manual_seed(seed)
        top = ("encoder.layer.5.", "pooler.", "classifier.")
        top_parameters = [
            parameter for name, parameter in model.named_parameters() if any(part in name for part in top)
        ]
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        for parameter in top_parameters:
            parameter.requires_grad_(True)
        for name, parameter in model.named_parameters():
            if "classifier." in name:
                nn.init.normal_(parameter, std=0.02)
        optimizer = torch.optim.AdamW(top_parameters, lr=1e-4)
        rng = np.random.default_rng(seed)
        for _ in range(self.epochs):
            for rows in np.array_split(rng.permutation(len(samples)), len(samples) // 32 + 1):
                batch = task.batch(samples, rows)
                optimizer.zero_grad()
                task.losses(task.outputs(model, batch), batch).mean().backward()
                optimizer.step()
        save_file({name: value.contiguous() for name, value in model.state_dict().items()}, path)


def _sentences(settings: Settings) -> tuple[Task, nn.Module, SampleSet, SampleSet]:
    folder = settings.data / "sst2"
    loaded = load_model(folder / "model_flip20")
    card: ModelCard = loaded.card
    samples = read_samples(folder / "train_flip20.csv", max_samples=settings.max_samples).with_classes(card.classes)
    clean = read_samples(folder / "dev.csv").with_classes(card.classes)
    return task_for(card, loaded.tokenizer), loaded.module.float(), samples, clean


Build = Made | Photographs | FlippedPhotographs | Sentences | OneSidedSentences | Table | Bundle

SETS: dict[str, Build] = {
    "gaussians": Made(gaussians, 10 / 150, seeds=100),
    "moons": Made(moons, 25 / 250, hidden=16, epochs=100),
    "gaussians_30": Made(gaussians, 0.3, seeds=100),
    "moons_30": Made(moons, 0.3, hidden=16, epochs=100),
    "breast_cancer": Made(table("breast_cancer"), 0.2, hidden=32, epochs=20),
    "wine": Made(table("wine"), 0.2, hidden=32, epochs=20),
    "digits": Made(table("digits"), 0.2, hidden=64, epochs=10, seeds=5),
    "digits_pair": Made(table("digits"), 0.3, noise="pair", hidden=64, epochs=10, seeds=5),
    "breast_cancer_one_sided": Made(table("breast_cancer"), 0.35, noise="one_sided", hidden=32, epochs=20),
    "aggre": Photographs("aggre"),
    "worse": Photographs("worse"),
    "flipped": FlippedPhotographs(),
    "memorised_aggre": Photographs("aggre", memorised=True),
    "memorised_worse": Photographs("worse", memorised=True),
    "sentences": Sentences(),
    "sentences_one_sided": OneSidedSentences(),
    **TABLES,
    **CLEAN,
    **RARE_CLASS,
    **BUNDLES,
}
SMALL = tuple(name for name, build in SETS.items() if isinstance(build, Made))
GROUPS = {
    "small": SMALL,
    "photographs": ("aggre", "worse"),
    "memorised": ("memorised_aggre", "memorised_worse"),
    "text": ("sentences", "sentences_one_sided"),
    "tables": tuple(TABLES),
    "clean": tuple(CLEAN),
    "rare": tuple(RARE_CLASS),
    "bundles": tuple(BUNDLES),
    "all": tuple(SETS),
}
