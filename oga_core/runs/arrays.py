"""The arrays of the gradient pass in a run folder, checked before anything is computed from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from oga_core.errors import OgaError
from oga_core.gradient_sketch import GradientSketch
from oga_core.runs.info import RunInfo

_NEEDED = ("given_labels", "losses", "sketch")
_OF_CLASSES = ("logits", "view_logits")
_AGAIN = "Score the data again into a new folder."


def read_arrays(folder: Path, info: RunInfo) -> GradientSketch:
    """Return the arrays in `folder`, memory-mapped. Raises `OgaError` for missing, damaged or disagreeing ones."""
    absent = [name for name in _NEEDED if not (folder / f"{name}.npy").is_file()]
    if absent:
        raise OgaError(f"The arrays in {folder} are missing: {', '.join(absent)}. {_AGAIN}")
    try:
        sketch = GradientSketch.load(
            folder,
            coverage=1.0 if info.gradient_coverage is None else info.gradient_coverage,
            check_error=float("nan") if info.gradient_check_error is None else info.gradient_check_error,
        )
    except (OSError, ValueError, EOFError, TypeError) as error:
        raise OgaError(f"The arrays in {folder} are damaged: {str(error)[:200].rstrip('.')}. {_AGAIN}") from None
    _check_shapes(folder, sketch, info)
    return sketch


def _check_shapes(folder: Path, sketch: GradientSketch, info: RunInfo) -> None:
    n_samples = len(sketch.given_labels) if info.n_samples is None else info.n_samples
    for name, array in vars(sketch).items():
        if not isinstance(array, np.ndarray):
            continue
        if array.dtype.kind not in "fiu":
            raise OgaError(f"The arrays in {folder} are damaged: {name} holds {array.dtype}, not numbers. {_AGAIN}")
        n_rows = len(array) if array.ndim else 0
        if n_rows != n_samples:
            raise OgaError(f"The arrays in {folder} disagree: {name} has {n_rows:,} rows, not {n_samples:,}. {_AGAIN}")
        n_columns = array.shape[1] if array.ndim == 2 else 0
        if name in _OF_CLASSES and info.classes and n_columns != len(info.classes):
            raise OgaError(
                f"The arrays in {folder} disagree: {name} has {n_columns:,} columns for {len(info.classes):,} classes. "
                f"{_AGAIN}"
            )
