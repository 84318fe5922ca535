"""What the trainings of a verification read: the run's features, the model with its task, and validation data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oga_core.errors import OgaError
from oga_core.files import temporary_folder
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass
from oga_core.models import load_model
from oga_core.models.card import ModelCard
from oga_core.readers import read_samples
from oga_core.readers.targets import with_targets
from oga_core.runs.folder import RunFolder
from oga_core.samples import SampleSet
from oga_core.tasks import Task, task_for
from oga_core.worker.stages import Progress

_CACHED_BYTES = 1 << 30
NO_LAST_LAYER = (
    "This run has no features, so a head cannot be trained on them: the model has no last linear layer. Train the "
    "whole model again with --depth all."
)
NO_FEATURES = (
    "This run was made from a model's outputs without features, so there is nothing to train. Add 'features', the "
    "inputs of the last layer, to the outputs and score them again, or retrain yourself on the exported data set."
)


@dataclass(frozen=True)
class Inputs:
    """Files of a run, and of the validation data in the arguments of a verification."""

    run: RunFolder
    arguments: Mapping[str, Any]
    progress: Progress

    def features(self) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """The run's features, standardised, and where there are validation data theirs and their labels."""
        sketch = self.run.gradient_sketch()
        if sketch.features is None:
            raise OgaError(NO_FEATURES if self.run.info.model_format == "outputs" else NO_LAST_LAYER)
        raw = np.array(sketch.features, dtype=np.float32)
        mean = raw.mean(axis=0)
        spread = np.maximum(raw.std(axis=0), 1e-6)
        validation, truth = self._validation_features()
        outside = None
        if validation is not None and truth is not None:
            outside = torch.from_numpy((validation - mean) / spread), torch.from_numpy(truth)
        return torch.from_numpy((raw - mean) / spread), outside

    def _validation_features(self) -> tuple[NDArray[np.float32] | None, NDArray[Any] | None]:
        """Features and labels of the validation data, by one pass of the model."""
        if self.arguments["validation"] is None:
            return None, None
        self.progress({"stage": "features of the validation data"})
        samples = self.validation()
        if samples.modality == "outputs":
            return np.stack([samples.inputs[i]["features"] for i in range(len(samples))]), samples.given_labels
        model, task, _ = self.model()
        options = PassOptions(parameters="head", device=self.arguments["device"])
        with temporary_folder(self.run.path / "verify") as folder:
            result = gradient_pass(task, model, samples, folder=folder, options=options, progress=self.progress)
            assert result.sketch.features is not None
            return np.array(result.sketch.features), _labels(samples)[result.rows]

    def validation(self) -> SampleSet:
        """The validation data, labelled as the run is."""
        options = self.run.info.data.options
        column = None if options.get("labels") else options.get("label_column")
        samples = read_samples(Path(self.arguments["validation"]), label_column=column)
        if samples.modality != self.run.info.modality:
            raise OgaError(
                f"The validation data reads as {samples.modality!r} and the run as {self.run.info.modality!r}. "
                "Give validation data of the same kind and with the same columns."
            )
        info = self.run.info
        if (info.classes or info.target != "class") and samples.target is None:
            raise OgaError("The validation data has no labels. Give labelled samples.")
        return with_targets(samples, info.target, info.classes or info.label_names, info.loss)

    def model(self) -> tuple[torch.nn.Module, Task, ModelCard]:
        """The scored model, its task and its card."""
        info = self.run.info
        path = info.options.get("model_card")
        card = ModelCard.from_json(Path(path).read_bytes(), Path(path).name) if path else None
        loaded = load_model(Path(info.model.path or info.data.path), card)
        if not info.classes:
            card = loaded.card.with_trained_on(info.options.get("trained_on"))
            return loaded.module, task_for(card, loaded.tokenizer, loaded.own_loss), card
        card = loaded.card if loaded.card.classes else replace(loaded.card, classes=info.classes)
        return loaded.module, task_for(card, loaded.tokenizer, loaded.own_loss), card


class CachedInputs(Sequence[Any]):
    """Keeps decoded inputs for the next epoch, as long as they take less than a gibibyte together."""

    def __init__(self, inputs: Sequence[Any]):
        self.inputs = inputs
        self._decoded: dict[int, Any] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, i: Any) -> Any:
        if i in self._decoded:
            return self._decoded[i]
        value = self.inputs[i]
        size = _size(value)
        if self._bytes + size <= _CACHED_BYTES:
            self._decoded[i] = value
            self._bytes += size
        return value


def _size(value: Any) -> int:
    if hasattr(value, "getbands"):
        value.load()
        return int(value.width * value.height * len(value.getbands()))
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    return 4 * len(value) if isinstance(value, str) else 1024


def _labels(samples: SampleSet) -> NDArray[Any]:
    """Class indices, or in float32 numbers and flags."""
    return samples.given_labels if samples.targets is None else samples.targets.astype(np.float32)
