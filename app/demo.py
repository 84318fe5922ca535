"""`oga demo`: three small data sets with known injected noise, scored into run folders."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import oga_sample_data
from oga_core.errors import OgaError
from oga_core.pipeline.options import ScoreOptions
from oga_core.pipeline.results import draw_map
from oga_core.pipeline.score import score
from oga_core.runs.folder import RunFolder

Progress = Callable[[dict[str, Any]], None]
SAMPLE_DATA = Path(oga_sample_data.__file__).parent


@dataclass(frozen=True)
class Sample:
    """One sample data set: its run's name, and the data and the model as files of sample_data/."""

    name: str
    data: str
    model: str
    label_column: str | None = None


SAMPLES = (
    Sample("digits (images)", "digits.zip", "digits.pt2"),
    Sample("messages (text)", "messages.csv", "messages"),
    Sample("tumours (tabular)", "tumours.csv", "tumours.pt2", "diagnosis"),
)


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
        options = ScoreOptions(label_column=sample.label_column, map="pca")
        score(SAMPLE_DATA / sample.data, SAMPLE_DATA / sample.model, path, options, _named(sample.name, progress))
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
