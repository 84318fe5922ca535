"""The sample data sets that come with the package: small, with known wrong labels, each with its model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import oga_sample_data
from oga_core.errors import OgaError
from oga_core.pipeline.options import ScoreOptions
from oga_core.runs.folder import RunFolder

SAMPLE_DATA = Path(oga_sample_data.__file__).resolve().parent


@dataclass(frozen=True)
class Sample:
    """One sample data set: its run's name, and the data and the model as files of sample_data/."""

    name: str
    data: str
    model: str
    label_column: str | None = None

    @property
    def paths(self) -> tuple[Path, Path]:
        """Where the data and the model are."""
        return SAMPLE_DATA / self.data, SAMPLE_DATA / self.model

    @property
    def options(self) -> ScoreOptions:
        """How it is scored: the map by PCA, which is there at once."""
        return ScoreOptions(label_column=self.label_column, map="pca")


SAMPLES = (
    Sample("digits (images)", "digits.zip", "digits.pt2"),
    Sample("messages (text)", "messages.csv", "messages"),
    Sample("tumours (tabular)", "tumours.csv", "tumours.pt2", "diagnosis"),
)


def is_sample(run: Path) -> bool:
    """Whether a run is of one of the sample data sets."""
    try:
        data = RunFolder(run).info.data.path
    except OgaError:  # the page says what is wrong with the run
        return False
    return bool(data) and Path(data).resolve().is_relative_to(SAMPLE_DATA)
