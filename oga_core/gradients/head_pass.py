"""The head's gradient in closed form: one forward pass, no backward pass."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oga_core.gradients.factors.sketching import Sketcher
from oga_core.gradients.failures import StartAgain, not_finite
from oga_core.gradients.forward import Forward
from oga_core.gradients.hooks.forward_capture import ForwardCapture, Survey, features_of, middle_features
from oga_core.gradients.hooks.word_arrays import word_arrays
from oga_core.gradients.language import language_arrays
from oga_core.gradients.options import PassOptions
from oga_core.gradients.pixels.pixel_arrays import pixel_arrays
from oga_core.gradients.precision import Precision, is_short
from oga_core.gradients.self_check import (
    SHORT_TOLERANCE,
    TOLERANCE,
    checked_rows,
    head_gradients,
    largest_error,
    logit_gradients,
)
from oga_core.tasks.losses import PLAIN, loss_of
from oga_core.tasks.task import Batch, PromptTask, Task

VIEWED = {"view_logits": "logits", "view_features": "features", "middle_features": "middle_features"}
"""Arrays that are means over test-time views, and what of each view they are the mean of."""
FEATURES = "features"  # given up where the head's gradient is not δ ⊗ h
ROWS_AT_ONCE = 8192
"""Of outputs that need no model."""


class HeadPass:
    """Losses, logits, features, middle features and a sketch of δ ⊗ h, from one forward pass a batch."""

    coverage = 1.0
    precision_error = 0.0

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        options: PassOptions,
        survey: Survey,
        device: torch.device,
        given_up: set[str] | None = None,
    ):
        self.task = task
        self.loss = loss_of(task)
        self.model = model
        self.options = options
        self.precision = Precision(device, options.precision)
        self.exact = Precision(device, "float32")
        self.middle = survey.middle
        self.forward = Forward(task, model, self.middle, self.arrays_of, self.token_arrays_of)
        self.sketcher = Sketcher(options.sketch_dim, options.seed, device)
        self.notes: list[str] = []
        self.given_up = set() if given_up is None else given_up
        self.uses_features = FEATURES not in self.given_up
        self.check_error = math.nan

    def check(self, batch: Batch) -> None:
        """Compare δ ⊗ h of a few samples with the gradient of the head's weight; where they differ, h is not used."""
        few = checked_rows(batch)
        with self.exact(self.model):
            with torch.no_grad(), ForwardCapture() as capture:
                outputs = self.task.outputs(self.model, few)
            del capture
            delta = self._delta(outputs.float(), few)
            features = features_of(outputs)
            error = self._error_of_product(delta, features, few)
            self.check_error = largest_error(delta, logit_gradients(self.task, outputs, few).float())
        if math.isnan(self.check_error):
            raise not_finite()
        if error <= (SHORT_TOLERANCE if is_short(self.model) else TOLERANCE):
            self.check_error = max(error, self.check_error)
            return
        self.notes.append(_no_features(features, error, given_up=not self.uses_features))
        self.uses_features = False

    def _error_of_product(self, delta: Tensor, features: Tensor | None, few: Batch) -> float:
        """Relative error of δ ⊗ h, infinite where the head's gradient cannot be had."""
        if features is None or not self.uses_features:
            return math.inf
        exact = head_gradients(self.task, self.model, few)
        product = delta[:, :, None] * features.float()[:, None, :]
        return math.inf if exact is None or exact.shape != product.shape else largest_error(product, exact.float())

    @torch.no_grad()
    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Return the arrays of one batch."""
        with self.precision(self.model):
            losses = self.forward(batch)
        return {"losses": losses.values.float(), **losses.arrays}

    @torch.no_grad()
    def arrays_of(self, outputs: Tensor, capture: ForwardCapture, batch: Batch) -> dict[str, Tensor]:
        """All that a captured forward pass gives beside the losses; nothing where there are no class logits."""
        if "word_places" in batch:
            return word_arrays(outputs, capture.pooled, self.middle, batch, self.sketcher)
        if self.loss.target == "mask":
            return pixel_arrays(outputs, batch["labels"])
        if outputs.ndim != 2:
            return {}
        seen = self._seen(outputs, capture)
        self._require_features(seen["features"])
        arrays = self.head_arrays(outputs, seen["features"], batch)
        views = [seen, *self._views(batch)]
        for name, source in VIEWED.items():
            parts = [part for view in views if (part := view[source]) is not None]
            if len(parts) == len(views) and (len(views) > 1 or name == source):
                arrays[name] = sum(parts[1:], start=parts[0]) / len(parts)
        return arrays

    @torch.no_grad()
    def token_arrays_of(self, outputs: Tensor, token_losses: Tensor, batch: Batch) -> dict[str, Tensor]:
        """All that a forward pass of a language model gives beside the losses."""
        arrays = language_arrays(outputs, token_losses, batch, self.sketcher)
        if self.options.without_prompt and isinstance(self.task, PromptTask):
            shorter = self.task.without_prompt(batch)
            arrays["prompt_free_losses"] = self.task.losses(self.forward.outputs(shorter), shorter).float()
        return arrays

    def _views(self, batch: Batch) -> Iterator[dict[str, Tensor | None]]:
        for view in self.task.views(batch) if self.options.views else []:
            with ForwardCapture(self.middle, batch.get("attention_mask")) as capture:
                outputs = self.task.outputs(self.model, view)
            yield self._seen(outputs, capture)

    def _seen(self, outputs: Tensor, capture: ForwardCapture) -> dict[str, Tensor | None]:
        """What one forward pass shows of every sample, in float32."""
        with torch.autocast(outputs.device.type, enabled=False):  # which would round the sketch
            middle = middle_features(capture.pooled, self.middle, self.sketcher)
        features = features_of(outputs) if self.uses_features else None
        shown = {"logits": outputs, "features": features, "middle_features": middle}
        return {
            name: None if part is None or len(part) != len(outputs) else part.detach().float()
            for name, part in shown.items()
        }

    def _require_features(self, features: Tensor | None) -> None:
        """Where some batches have no features, no sample is to have any."""
        if features is None and self.uses_features:
            self.given_up.add(FEATURES)
            raise StartAgain

    def head_arrays(self, outputs: Tensor, features: Tensor | None, batch: Batch) -> dict[str, Tensor]:
        """Outputs, features and the sketch of the head's gradient, in float32."""
        outputs = outputs.detach().float()
        features = None if features is None else features.float()
        delta = self._delta(outputs, batch)
        arrays = {} if features is None else {"features": features}
        if self.loss.has_logits:
            arrays["logits"] = outputs
        elif self.loss.own is None:  # what the outputs of a loss of one's own mean is not known
            arrays["outputs"] = self.loss.in_data_units(outputs)
        if self.loss != PLAIN:
            arrays["output_gradients"] = delta
        return {**arrays, "sketch": self._sketch(delta, features)}

    def _delta(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Gradient of the loss at the outputs, of plain cross-entropy in closed form."""
        return _delta(outputs, batch["labels"]) if self.loss == PLAIN else logit_gradients(self.task, outputs, batch)

    def _sketch(self, delta: Tensor, features: Tensor | None) -> Tensor:
        with torch.autocast(delta.device.type, enabled=False):
            return head_sketch(self.sketcher, delta, features)


def _no_features(features: Tensor | None, error: float, *, given_up: bool) -> str:
    if given_up:
        reason = "The logits of some samples are made by no last linear layer"
    elif features is None:
        reason = "The model has no last linear layer that makes its logits"
    elif math.isinf(error):
        reason = "No gradient comes back to the model's last linear layer"
    else:
        reason = f"The gradient of the last linear layer did not pass the self-check (relative error {error:.1e})"
    return (
        f"{reason}, so there are no features: scores from features are left out, and the sketch is of the gradient at "
        "the logits."
    )


def head_sketch(sketcher: Sketcher, delta: Tensor, features: Tensor | None) -> Tensor:
    """Sketch δ ⊗ h, `(batch, min(sketch_dim, n_classes · n_features))`; exact up to signs where it is that small."""
    if features is None:
        features = delta.new_ones(len(delta), 1)
    return sketcher.outer("head", delta, features)


def outputs_arrays(
    logits: NDArray[np.float32],
    features: NDArray[np.float32] | None,
    given_labels: NDArray[np.int64],
    options: PassOptions,
) -> dict[str, NDArray[np.float32]]:
    """Losses, logits, features and sketch from a model's outputs."""
    blocks = [arrays for _, arrays in _outputs_blocks(logits, features, given_labels, options)]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def write_outputs(
    folder: Path,
    logits: NDArray[np.float32],
    features: NDArray[np.float32] | None,
    given_labels: NDArray[np.int64],
    options: PassOptions,
) -> None:
    """Write the same into `folder`, each as `<name>.npy`, with no more of them in memory than a block."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "given_labels.npy", given_labels, allow_pickle=False)
    files: dict[str, NDArray[np.float32]] = {}
    for part, arrays in _outputs_blocks(logits, features, given_labels, options):
        for name, values in arrays.items():
            if name not in files:
                shape = (len(logits), *values.shape[1:])
                files[name] = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, shape)
            files[name][part] = values


def _outputs_blocks(
    logits: NDArray[np.float32],
    features: NDArray[np.float32] | None,
    given_labels: NDArray[np.int64],
    options: PassOptions,
) -> Iterator[tuple[slice, dict[str, NDArray[np.float32]]]]:
    sketcher = Sketcher(options.sketch_dim, options.seed)
    for start in range(0, len(logits), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        rows = torch.from_numpy(np.array(logits[part], np.float32))
        labels = torch.from_numpy(given_labels[part])
        losses = torch.nn.functional.cross_entropy(rows, labels, reduction="none")
        inputs = None if features is None else torch.from_numpy(np.array(features[part], np.float32))
        sketch = head_sketch(sketcher, _delta(rows, labels), inputs)
        arrays = {"logits": rows.numpy(), "losses": losses.numpy(), "sketch": sketch.numpy()}
        yield part, arrays if inputs is None else {**arrays, "features": inputs.numpy()}


def outputs_fingerprint(
    logits: NDArray[np.float32],
    features: NDArray[np.float32] | None,
    given_labels: NDArray[np.int64],
    options: PassOptions,
) -> str:
    """Return what changes with a model's outputs, the labels and the options."""
    digest = hashlib.blake2b(options.fingerprint.encode(), digest_size=16)
    for array in (logits, features, given_labels):
        if array is not None:
            for start in range(0, len(array), ROWS_AT_ONCE):
                digest.update(np.ascontiguousarray(array[start : start + ROWS_AT_ONCE]).data)
    return digest.hexdigest()


def _delta(logits: Tensor, labels: Tensor) -> Tensor:
    """Gradient of the cross-entropy at the logits, p - y."""
    delta = logits.softmax(dim=1)
    delta[torch.arange(len(delta), device=delta.device), labels] -= 1
    return delta
