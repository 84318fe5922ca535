"""OGA finds the training samples that hurt a model, from the outliers among its per-sample loss gradients.

`find_label_issues` takes plain arrays; `per_sample_gradients` and `compute_scores` a live model; `score` makes a run,
which `open_run` opens again; `package_model` writes a model file that anyone can score without running its code.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oga_core.api import compute_scores, open_run, score
    from oga_core.errors import OgaError
    from oga_core.gradient_sketch import GradientSketch
    from oga_core.live.generalized import generalized_influence
    from oga_core.live.gradients import per_sample_gradients
    from oga_core.live.label_issues import find_label_issues
    from oga_core.live.mirrored import mirrored_influence
    from oga_core.models.packaging.package import package_model
    from oga_core.notebook.run import Run

__all__ = [
    "GradientSketch",
    "OgaError",
    "Run",
    "__version__",
    "compute_scores",
    "find_label_issues",
    "generalized_influence",
    "mirrored_influence",
    "open_run",
    "package_model",
    "per_sample_gradients",
    "score",
]

_HOMES = {
    "GradientSketch": "oga_core.gradient_sketch",
    "OgaError": "oga_core.errors",
    "Run": "oga_core.notebook.run",
    "compute_scores": "oga_core.api",
    "find_label_issues": "oga_core.live.label_issues",
    "generalized_influence": "oga_core.live.generalized",
    "mirrored_influence": "oga_core.live.mirrored",
    "open_run": "oga_core.api",
    "package_model": "oga_core.models.packaging.package",
    "per_sample_gradients": "oga_core.live.gradients",
    "score": "oga_core.api",
}

try:
    __version__ = version("oga")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0.0.0"


def __getattr__(name: str) -> Any:
    """Import what needs torch or pandas only when it is asked for."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'oga_core' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
