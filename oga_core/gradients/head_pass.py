"""The head's gradient in closed form: one forward pass, no backward pass."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oga_core.devices import precision_context
from oga_core.gradients.forward_capture import ForwardCapture, Survey, middle_features
from oga_core.gradients.options import PassOptions
from oga_core.gradients.sketching import Sketcher
from oga_core.tasks.task import Batch, Task

VIEWED = {"view_logits": "logits", "view_features": "features", "middle_features": "middle_features"}
"""Arrays that are means over test-time views, and what of each view they are the mean of."""
_ROWS_AT_ONCE = 8192


class HeadPass:
    """Losses, logits, features, middle features and a sketch of δ ⊗ h, from one forward pass a batch."""

    coverage, check_error = 1.0, 0.0

    def __init__(self, task: Task, model: nn.Module, options: PassOptions, found: Survey, device: torch.device):
        self.task, self.model, self.options, self.device = task, model, options, device
        self.middle = found.middle
        self.sketcher = Sketcher(options.sketch_dim, options.seed, device)
        self.notes: list[str] = []

    @torch.no_grad()
    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Return the arrays of one batch."""
        with precision_context(self.device, self.options.precision):
            with ForwardCapture(self.middle, batch.get("attention_mask")) as capture:
                outputs = self.task.outputs(self.model, batch)
            losses = self.task.losses(outputs, batch).float()
            return {"losses": losses, **self.arrays_of(outputs, capture, batch)}

    @torch.no_grad()
    def arrays_of(self, outputs: Tensor, capture: ForwardCapture, batch: Batch) -> dict[str, Tensor]:
        """All that a captured forward pass gives beside the losses; nothing where there are no class logits."""
        if outputs.ndim != 2:
            return {}
        seen = self._seen(outputs, capture)
        arrays = self.head_arrays(outputs, seen["features"], batch["labels"])
        views = [seen, *self._views(batch)]
        for name, source in VIEWED.items():
            parts = [part for view in views if (part := view[source]) is not None]
            if len(parts) == len(views) and (len(views) > 1 or name == source):
                arrays[name] = sum(parts[1:], start=parts[0]) / len(parts)
        return arrays

    def _views(self, batch: Batch) -> Iterator[dict[str, Tensor | None]]:
        for view in self.task.views(batch) if self.options.views else []:
            with ForwardCapture(self.middle, batch.get("attention_mask")) as capture:
                outputs = self.task.outputs(self.model, view)
            yield self._seen(outputs, capture)

    def _seen(self, outputs: Tensor, capture: ForwardCapture) -> dict[str, Tensor | None]:
        """What one forward pass shows of every sample, in float32."""
        middle = middle_features(capture.pooled, self.middle, self.sketcher)
        shown = {"logits": outputs, "features": capture.features_of(outputs), "middle_features": middle}
        return {
            name: None if part is None or len(part) != len(outputs) else part.detach().float()
            for name, part in shown.items()
        }

    def head_arrays(self, outputs: Tensor, features: Tensor | None, labels: Tensor) -> dict[str, Tensor]:
        """Logits, features and the sketch of the head's gradient, in float32."""
        logits = outputs.detach().float()
        if features is None:
            self._note_once(
                "The model has no last linear layer that makes its logits, so there are no features: scores from "
                "features are left out, and the sketch is of the gradient at the logits."
            )
            return {"logits": logits, "sketch": self._sketch(_delta(logits, labels), None)}
        features = features.float()
        return {"logits": logits, "features": features, "sketch": self._sketch(_delta(logits, labels), features)}

    def _sketch(self, delta: Tensor, features: Tensor | None) -> Tensor:
        return head_sketch(self.sketcher, delta, features)

    def _note_once(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


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
    sketcher = Sketcher(options.sketch_dim, options.seed)
    losses, sketches = [], []
    for start in range(0, len(logits), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        rows, labels = torch.from_numpy(np.array(logits[part], np.float32)), torch.from_numpy(given_labels[part])
        losses.append(torch.nn.functional.cross_entropy(rows, labels, reduction="none").numpy())
        inputs = None if features is None else torch.from_numpy(np.array(features[part], np.float32))
        sketches.append(head_sketch(sketcher, _delta(rows, labels), inputs).numpy())
    arrays = {
        "logits": np.asarray(logits, np.float32),
        "losses": np.concatenate(losses),
        "sketch": np.concatenate(sketches),
    }
    return arrays if features is None else {**arrays, "features": np.asarray(features, np.float32)}


def _delta(logits: Tensor, labels: Tensor) -> Tensor:
    """Gradient of the cross-entropy at the logits, p - y."""
    delta = logits.softmax(dim=1)
    delta[torch.arange(len(delta), device=delta.device), labels] -= 1
    return delta
