"""A scored run as arrays: what every page reads, made once and never changed."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from oga_core.errors import OgaError, unknown
from oga_core.findings import WRONG_PROBABILITY
from oga_core.findings.clusters import NAMED_BY, Clusters, Shared, both, named_clusters, pairs
from oga_core.findings.kinds import MISLABELLED, STRANGE, SUGGESTED_PROBABILITY
from oga_core.numerics import evenly_spaced
from oga_core.runs.folder import SCORE_PREFIX, RunFolder, score_names
from oga_core.runs.info import RunInfo
from oga_core.runs.stored.columns import StoredColumns
from oga_core.runs.table import CONTENT, GIVEN_VALUE, PREDICTED_VALUE, open_columns, order_of
from oga_core.samples import MODEL_MASK, is_number, require_labels
from oga_core.threshold.ranked import RankedScores, rank_of

NO_FINDING = "none"
DEFAULT_TRIM_FRACTION = 0.05
"""What is flagged where nothing was estimated: few enough to look through. The one default of every page and export."""
ASSUMED_NOISE_RATE = 0.1
"""Before any verdict and without an estimate; curated sets have 1 to 10 % wrong labels (Northcutt et al. 2021)."""
LEAST_NOISE_RATE = 0.005
"""An estimate of no noise is not certain: the expectation must be able to learn otherwise."""


class ScoredRun:
    """Arrays of one run in the data's order, and for every score the samples sorted by it.

    given, predicted: `(n_samples,)` indices into `classes`, -1 where there is none.
    version: the path and what changes when its files are written again; the key of everything cached.
    """

    def __init__(self, path: Path):
        self.run = RunFolder.open(path)
        self.path = path
        self.version: tuple[str, tuple[int, int, int]] = (str(path), (0, 0, 0))
        self.info: RunInfo = self.run.info
        self.columns, self.ids = open_columns(path, self.info)
        self.classes: tuple[str, ...] = self.info.classes
        self.given = self._codes("given_label")
        self.predicted = self._codes("predicted_label")
        self._ranked: dict[str, RankedScores] = {}

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def table(self) -> pd.DataFrame:
        """All of scores.parquet as a table, for exports and notebooks: at ten million samples, gigabytes."""
        return self.run.table

    @property
    def name(self) -> str:
        """What the person calls the run: its folder's name."""
        return self.path.name

    @property
    def modality(self) -> str:
        """image, text, tabular, causal_lm, preference or outputs."""
        return self.info.modality

    @cached_property
    def scores(self) -> list[str]:
        """Names of the scores, the default first."""
        names = score_names(self.columns.names)
        default = self.info.default_score
        return sorted(names, key=lambda name: name != default)

    def score(self, name: str) -> NDArray[np.float64]:
        """One score, `(n_samples,)`, higher = more suspicious; raises `OgaError` for an unknown name."""
        if name not in self.scores:
            raise unknown("score", name, self.scores)
        return self._numbers(SCORE_PREFIX + name)

    @property
    def default_score(self) -> str:
        """The score that ranks the samples at first; raises `OgaError` for a run without scores."""
        if not self.scores:
            raise OgaError(f"The run {self.name} has no scores. Score the data again.")
        return self.scores[0]

    def trim_fraction(self, wanted: float | None = None) -> float:
        """The share that is flagged: the one wanted, which may be 0, else the run's suggestion, else 5 %."""
        if wanted is not None:
            return wanted
        suggested = self.info.suggested_trim_fraction
        return DEFAULT_TRIM_FRACTION if suggested is None else suggested

    @property
    def noise_rate(self) -> float | None:
        """The run's estimate of the share of wrong labels, before anyone has looked; None where there is none."""
        return None if self.info.noise_rate is None else self.info.noise_rate.rate

    @property
    def assumed_noise_rate(self) -> float:
        """What the expectation starts from: the estimate, kept above 0, else a tenth."""
        estimate = self.noise_rate
        return ASSUMED_NOISE_RATE if estimate is None else max(estimate, LEAST_NOISE_RATE)

    @property
    def beliefs(self) -> dict[str, Any]:
        """What an `Expectation` starts from before any verdict: the noise rate, and each label's own probability."""
        ends = self.info.noise_rate and (self.info.noise_rate.low, self.info.noise_rate.high)
        return {"noise_rate": self.assumed_noise_rate, "probability": self.wrong_probability, "noise_range": ends}

    def ranked(self, name: str) -> RankedScores:
        """One score with its order, one for all threads that ask; missing values last."""
        if name not in self._ranked:
            self._ranked.setdefault(name, RankedScores.of(self.score(name), self.columns.places(order_of(name))))
        return self._ranked[name]

    def order(self, name: str) -> NDArray[np.int64]:
        """All samples by falling score, ties in the data's order."""
        return self.ranked(name).order

    def rank(self, name: str) -> NDArray[np.int64]:
        """The place of every sample in `order`, 0 = most suspicious."""
        return self.ranked(name).ranks

    def percentile(self, name: str, row: int) -> float:
        """Share of the samples that are less suspicious, 0 to 100."""
        place = int(self.rank(name)[row]) if name in self._ranked else rank_of(self.score(name), row)
        return 100.0 * (1 - (place + 1) / len(self))

    @cached_property
    def positions(self) -> NDArray[np.float32] | None:
        """The map, `(n_samples, 2)`, None where none was made."""
        if "map_x" not in self.columns:
            return None
        positions = np.empty((len(self), 2), dtype=np.float32)
        for axis, column in enumerate(("map_x", "map_y")):
            positions[:, axis] = self.columns.column(column).cast(pa.float32(), safe=False).to_numpy()
        return None if np.isnan(positions[:, 0]).all() else positions

    @cached_property
    def clusters(self) -> Clusters:
        """The clusters on the map, named by their confused pair, finding or given label; none in a run without them."""
        if self.positions is None or "map_cluster" not in self.columns:
            return Clusters(np.full(len(self), -1), np.empty(0, dtype=np.int64))
        rows = evenly_spaced(np.arange(len(self)), NAMED_BY)
        given, finding = self.given[rows], self.finding[rows]
        shared = (
            pairs(given, self._suggested(rows), self.classes),
            both(finding, self.finding_names, given, self.classes),
            Shared(finding, self.finding_names.__getitem__),
            Shared(given, self.class_name),
        )
        return named_clusters(self.columns.numbers("map_cluster"), self.positions, shared, rows)

    @cached_property
    def given_probability(self) -> NDArray[np.float64]:
        """The model's probability of the given label, `(n_samples,)`, NaN where it has none."""
        if "given_label_probability" not in self.columns:
            return np.full(len(self), np.nan)
        return self._numbers("given_label_probability")

    @cached_property
    def wrong_probability(self) -> NDArray[np.float64] | None:
        """The probability that the given label is wrong, `(n_samples,)`, before any verdict; None where it has none."""
        return self._numbers(WRONG_PROBABILITY) if WRONG_PROBABILITY in self.columns else None

    def suggested_part(self, row: int) -> tuple[int, float]:
        """The class that the evidence prefers to the given label, and its part of the probability that that is wrong.

        -1 and 0 where the run has none.
        """
        suggested = self.text("suggested_label", row)
        if suggested not in self.classes or not {WRONG_PROBABILITY, SUGGESTED_PROBABILITY} <= {*self.columns.names}:
            return -1, 0.0
        part = self._suggested_probability[row] / max(self._numbers(WRONG_PROBABILITY)[row], 1e-12)
        return self.classes.index(suggested), min(max(float(part), 0.0), 1.0)

    @cached_property
    def _suggested_probability(self) -> NDArray[np.float64]:
        return self._numbers(SUGGESTED_PROBABILITY)

    @cached_property
    def given_values(self) -> NDArray[np.float64]:
        """The numbers of a run whose samples are labelled with numbers, `(n_samples,)`."""
        return self._numbers(GIVEN_VALUE)

    @cached_property
    def predicted_values(self) -> NDArray[np.float64] | None:
        """What its model predicts, in the same units, `(n_samples,)`; None where that is not known."""
        return self._numbers(PREDICTED_VALUE) if PREDICTED_VALUE in self.columns else None

    @cached_property
    def contents(self) -> list[str] | None:
        """A hash of what each sample holds, empty where it has none; None for a run from before there were hashes."""
        return self.columns.texts(CONTENT).tolist() if CONTENT in self.columns else None

    @cached_property
    def metadata(self) -> StoredColumns | None:
        """Columns of the data with few distinct values, as text, one row a sample; None where there are none."""
        return self.run.metadata(len(self))

    @cached_property
    def finding_names(self) -> tuple[str, ...]:
        """Kinds of finding in this run, without "none"."""
        present = self.columns.distinct("finding") if "finding" in self.columns else ()
        return tuple(name for name in present if name and name != NO_FINDING)

    @cached_property
    def finding(self) -> NDArray[np.int64]:
        """`(n_samples,)` indices into `finding_names`, -1 where there is none."""
        if not self.finding_names:
            return np.full(len(self), -1, dtype=np.int64)
        return self.columns.codes("finding", self.finding_names)

    def class_name(self, code: int) -> str:
        """The name of a class, a dash where there is none."""
        return self.classes[code] if 0 <= code < len(self.classes) else "–"

    def text(self, column: str, row: int) -> str:
        """An optional text column of the table, empty where it is missing."""
        return self.columns.text(column, row) if column in self.columns else ""

    @property
    def target(self) -> str:
        """What a sample is labelled with, where it has labels: class, number, labels, tags or mask."""
        return self.info.target

    def require_label(self, label: str | None) -> None:
        """Raise `OgaError` unless a sample may be relabelled to this: one of the classes, or a number as text."""
        if self.target in ("labels", "tags"):
            require_labels(label, self.info.label_names)
        elif self.target in ("class", "mask"):
            if label not in self.info.choices:
                raise unknown("class" if self.target == "class" else "new mask", str(label), self.info.choices)
        elif self.target == "vector":
            raise OgaError("Lists of numbers are not corrected here. Choose one of keep, remove, unsure.")
        elif label is None or not is_number(label):
            raise OgaError(f"The new value {label!r} is not a number. Write it with a point, such as 3.5.")

    @cached_property
    def suggested_labels(self) -> NDArray[np.object_]:
        """The class or number to relabel every sample to, as text, `(n_samples,)`, empty without a suggestion."""
        if self.target == "class":
            return np.array([*self.classes, ""], dtype=object)[self.suggestions]
        if "suggested_label" not in self.columns:
            return np.full(len(self), "", dtype=object)
        return self.columns.texts("suggested_label")

    def suggestion(self, row: int) -> int:
        """The class to relabel to, -1 where nothing speaks against the given label or for another one."""
        return int(self._suggested(np.array([row]))[0])

    @cached_property
    def suggestions(self) -> NDArray[np.int64]:
        """The class to relabel every sample to, `(n_samples,)`, -1 where there is no suggestion.

        The run's own suggestion where it finds the label wrong, else the prediction where it differs. What the model
        makes of a sample out of distribution says nothing.
        """
        return self._suggested(None)

    def _suggested(self, rows: NDArray[np.int64] | None) -> NDArray[np.int64]:
        some = slice(None) if rows is None else rows
        own = self._codes("suggested_label", rows)
        given, predicted, finding = (codes[some] for codes in (self.given, self.predicted, self.finding))
        wrong, strange = map((*self.finding_names, MISLABELLED, STRANGE).index, (MISLABELLED, STRANGE))
        label = np.where((own >= 0) & ((predicted != given) | (finding == wrong)), own, predicted)
        label[(finding == strange) | (label == given)] = -1
        return label

    def proposal(self, row: int) -> str | None:
        """The label a press of one key takes: the suggestion, else the prediction; none out of distribution."""
        if self.target == "mask":
            return MODEL_MASK
        if self.target != "class":
            return self.text("suggested_label", row) or self.text("predicted_label", row) or None
        code = int(self.finding[row])
        if not self.classes or (code >= 0 and self.finding_names[code] == STRANGE):
            return None
        suggestion = self.suggestion(row)
        label = suggestion if suggestion >= 0 else int(self.predicted[row])
        return self.class_name(label) if label >= 0 else None

    def given_text(self, row: int) -> str | None:
        """The label of a sample as text, None where it has none."""
        if self.target != "class":
            return self.text("given_label", row)
        return self.class_name(self.given[row]) if self.given[row] >= 0 else None

    def _codes(self, column: str, rows: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        if column not in self.columns or not self.classes:
            return np.full(len(self) if rows is None else len(rows), -1, dtype=np.int64)
        return self.columns.codes(column, self.classes, rows)

    def _numbers(self, column: str) -> NDArray[np.float64]:
        return np.asarray(self.columns.numbers(column), dtype=np.float64)
