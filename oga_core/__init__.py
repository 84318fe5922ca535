"""The core of OGA: readers, models, gradients, scores and review, without any user interface."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["__version__", "package_model"]

try:
    __version__ = version("oga")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0.0.0"


def __getattr__(name: str) -> Any:
    """Import what needs torch only when it is asked for."""
    if name == "package_model":
        from oga_core.models.packaging.package import package_model

        return package_model
    raise AttributeError(f"module 'oga_core' has no attribute {name!r}")
