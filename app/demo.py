"""`oga demo`: three small data sets with known injected noise, scored into run folders."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from oga_app.background.samples import SAMPLES
from oga_core.errors import OgaError
from oga_core.pipeline.results import draw_map
from oga_core.pipeline.score import score
from oga_core.runs.folder import RunFolder

Progress = Callable[[dict[str, Any]], None]


def prepare_demo(folder: Path | None, progress: Progress) -> Path:
    """Score the sample data sets that are not scored yet and return the folder of their runs."""
    folder = folder or default_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OgaError(f"The demo folder {str(folder)!r} cannot be made: {error}. Choose one with --folder.") from None
    for sample in SAMPLES:
        path = folder / sample.name
        if RunFolder(path).info.status == "done":
            continue
        score(*sample.paths, path, sample.options, _named(sample.name, progress))
    return folder


def improve_maps(folder: Path) -> None:
    """Replace the PCA maps by UMAP, which takes longer to compile than everything else together."""
    for sample in SAMPLES:
        run = RunFolder(folder / sample.name)
        if run.info.map == "pca":
            draw_map(run, "umap")


def default_folder() -> Path:
    """`oga/demo` in the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "oga" / "demo"


def _named(name: str, progress: Progress) -> Progress:
    return lambda event: progress({"run": name, **event})
