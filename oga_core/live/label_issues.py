"""Label issues from plain arrays: no model, no file, no run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from oga_core.errors import OgaError
from oga_core.findings.kinds import find
from oga_core.findings.noise import estimate_noise, wrong_label_probability
from oga_core.gradient_sketch import GradientSketch
from oga_core.gradients.head_pass import outputs_arrays
from oga_core.gradients.options import PassOptions
from oga_core.numerics import SMALLEST, Array, Indices
from oga_core.scores import compute_scores
from oga_core.threshold.ranked import RankedScores


def find_label_issues(
    labels: Any,
    *,
    logits: Any = None,
    probabilities: Any = None,
    features: Any = None,
    classes: Sequence[Any] | None = None,
    score: str = "oga",
    seed: int = 0,
) -> pd.DataFrame:
    """Return one row a sample, in the data's order, with how suspicious its label is and what it may be instead.

    labels: `(n_samples,)`, class indices or names. logits or probabilities: `(n_samples, n_classes)`, of the model that
    was trained on these labels. features: `(n_samples, n_features)`, inputs of its last layer; with them the score is
    far better. All may be NumPy, torch, pandas or lists. classes: names in the order of the logits; by default the
    sorted labels. score: any score that these arrays allow.

    Columns: given_label, predicted_label, score (higher = more suspicious), probability (that the label is wrong, 0 to
    1, by fits that did not see it), flagged (as many as the estimated share of wrong labels), finding, suggested_label.
    `attrs` has noise_rate with its interval. Raises `OgaError` naming the argument that is wrong.
    """
    values = _logits(logits, probabilities)
    codes, names = _codes(labels, values.shape, classes)
    inputs = None if features is None else _matrix(features, "features", len(values))
    arrays: dict[str, Any] = outputs_arrays(values, inputs, codes, PassOptions(seed=seed))
    sketch = GradientSketch(given_labels=codes, **arrays)
    ranked = RankedScores(compute_scores(sketch, [score], seed=seed)[0][score])
    findings = find(sketch)
    noise = estimate_noise(sketch)
    probability = wrong_label_probability(sketch, ranked.values, noise.middle)
    flagged = np.zeros(len(codes), dtype=bool)
    flagged[ranked.flagged(noise.rate)] = True
    issues = pd.DataFrame(
        {
            "given_label": names[codes],
            "predicted_label": names[values.argmax(axis=1)],
            "score": ranked.values,
            "probability": 1 - findings.given_probability if probability is None else probability,
            "flagged": flagged,
            "finding": findings.kind,
            "suggested_label": names[findings.suggested_label],
        },
        index=labels.index if isinstance(labels, pd.Series) else None,
    )
    issues.attrs["noise_rate"] = {"rate": noise.rate, "low": noise.low, "high": noise.high}
    return issues


def _logits(logits: Any, probabilities: Any) -> Array:
    if (logits is None) == (probabilities is None):
        raise OgaError("Give either logits or probabilities, (n_samples, n_classes).")
    if logits is not None:
        return _matrix(logits, "logits")
    shares = _matrix(probabilities, "probabilities")
    if shares.min() < 0 or shares.max() > 1 + 1e-4:
        raise OgaError(
            f"probabilities must be from 0 to 1. Got {shares.min():.3g} to {shares.max():.3g}; are they logits?"
        )
    return np.log(np.maximum(shares, SMALLEST)).astype(np.float32)


def _matrix(values: Any, name: str, n_samples: int | None = None) -> Array:
    array = as_array(values)
    if array.ndim != 2 or array.dtype.kind not in "fiub":
        raise OgaError(f"{name} must be numbers (n_samples, n_{name}). Got shape {array.shape}, type {array.dtype}.")
    if n_samples is not None and len(array) != n_samples:
        raise OgaError(f"{name} has {len(array)} rows where there are {n_samples} samples. Give one row a sample.")
    if not np.isfinite(array).all():
        raise OgaError(f"{name} has values that are not finite, the first in row {_first_not_finite(array)}.")
    return array.astype(np.float32)


def _first_not_finite(array: Any) -> int:
    return int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])


def as_array(values: Any) -> Any:
    """Return NumPy, torch, pandas or lists as a NumPy array."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = (values.float() if values.is_floating_point() else values).numpy()
    return np.asarray(values)


def _codes(labels: Any, shape: tuple[int, ...], classes: Sequence[Any] | None) -> tuple[Indices, Any]:
    """Class indices, and the names by index."""
    values = as_array(labels)
    n_samples, n_classes = shape
    if values.shape != (n_samples,):
        raise OgaError(f"labels must be ({n_samples},), one a row of the logits. Got shape {values.shape}.")
    if classes is None and values.dtype.kind in "iu":
        names = np.arange(n_classes)
    else:
        names = np.array(list(classes) if classes is not None else np.unique(values))
    if len(names) != n_classes:
        raise OgaError(f"classes has {len(names)} names where the logits have {n_classes} columns.")
    if classes is not None and values.dtype.kind in "iu" and names.dtype.kind not in "iu":
        codes = values.astype(np.int64)
    else:
        position = {name: i for i, name in enumerate(names.tolist())}
        codes = np.array([position.get(value, -1) for value in values.tolist()], dtype=np.int64)
    wrong = np.flatnonzero((codes < 0) | (codes >= n_classes))
    if len(wrong):
        raise OgaError(
            f"labels has {values[wrong[0]].item()!r} in row {wrong[0]}, which is none of the {n_classes} classes."
        )
    return codes, names
