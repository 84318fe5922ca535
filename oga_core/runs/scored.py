"""A scored run as arrays: what every page reads, made once and never changed."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oga_core.errors import OgaError, unknown
from oga_core.findings import WRONG_PROBABILITY
from oga_core.findings.clusters import Clusters, Shared, both, named_clusters, pairs
from oga_core.findings.kinds import MISLABELLED, STRANGE, SUGGESTED_PROBABILITY
from oga_core.runs.folder import SCORE_PREFIX, RunFolder, score_names
from oga_core.runs.info import RunInfo
from oga_core.runs.table import CONTENT, GIVEN_VALUE, PREDICTED_VALUE, check_table
from oga_core.samples import is_number, require_labels
from oga_core.threshold.ranked import RankedScores

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
        self.table: pd.DataFrame = self.run.table
        check_table(self.table, self.info, path)
        self.ids: NDArray[np.object_] = self.table["sample_id"].to_numpy(dtype=object)
        self.classes: tuple[str, ...] = self.info.classes
        self.given = self._codes("given_label")
        self.predicted = self._codes("predicted_label")
        self._ranked: dict[str, RankedScores] = {}

    def __len__(self) -> int:
        return len(self.ids)

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
        names = score_names(self.table)
        default = self.info.default_score
        return sorted(names, key=lambda name: name != default)

    def score(self, name: str) -> NDArray[np.float64]:
        """One score, `(n_samples,)`, higher = more suspicious; raises `OgaError` for an unknown name."""
        if name not in self.scores:
            raise unknown("score", name, self.scores)
        return self.table[SCORE_PREFIX + name].to_numpy(dtype=np.float64)

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
        return {"noise_rate": self.assumed_noise_rate, "probability": self.wrong_probability}

    def ranked(self, name: str) -> RankedScores:
        """One score with its order, sorted once; missing values last."""
        if name not in self._ranked:
            self._ranked[name] = RankedScores(np.nan_to_num(self.score(name), nan=-np.inf))
        return self._ranked[name]

    def order(self, name: str) -> NDArray[np.int64]:
        """All samples by falling score, ties in the data's order."""
        return self.ranked(name).order

    def rank(self, name: str) -> NDArray[np.int64]:
        """The place of every sample in `order`, 0 = most suspicious."""
        return self.ranked(name).ranks

    def percentile(self, name: str, row: int) -> float:
        """Share of the samples that are less suspicious, 0 to 100."""
        return 100.0 * (1 - (int(self.rank(name)[row]) + 1) / len(self))

    @cached_property
    def positions(self) -> NDArray[np.float32] | None:
        """The map, `(n_samples, 2)`, None where none was made."""
        if "map_x" not in self.table or self.table["map_x"].isna().all():
            return None
        return self.table[["map_x", "map_y"]].to_numpy(dtype=np.float32)

    @cached_property
    def clusters(self) -> Clusters:
        """The clusters on the map, named by their confused pair, finding or given label; none in a run without them."""
        if self.positions is None or "map_cluster" not in self.table:
            return Clusters(np.full(len(self), -1, dtype=np.int64))
        codes = self.table["map_cluster"].fillna(-1).to_numpy(dtype=np.int64)
        shared = (
            pairs(self.given, self.suggestions, self.classes),
            both(self.finding, self.finding_names, self.given, self.classes),
            Shared(self.finding, lambda code: self.finding_names[code]),
            Shared(self.given, self.class_name),
        )
        return named_clusters(codes, self.positions, shared)

    @cached_property
    def given_probability(self) -> NDArray[np.float64]:
        """The model's probability of the given label, `(n_samples,)`, NaN where it has none."""
        if "given_label_probability" not in self.table:
            return np.full(len(self), np.nan)
        return self.table["given_label_probability"].to_numpy(dtype=np.float64)

    @cached_property
    def wrong_probability(self) -> NDArray[np.float64] | None:
        """The probability that the given label is wrong, `(n_samples,)`, before any verdict; None where it has none."""
        if WRONG_PROBABILITY not in self.table:
            return None
        return self.table[WRONG_PROBABILITY].to_numpy(dtype=np.float64)

    def suggested_part(self, row: int) -> tuple[int, float]:
        """The class that the evidence prefers to the given label, and its part of the probability that that is wrong.

        -1 and 0 where the run has none.
        """
        suggested = self.text("suggested_label", row)
        if suggested not in self.classes or self.wrong_probability is None:
            return -1, 0.0
        part = self._suggested_probability[row] / max(self.wrong_probability[row], 1e-12)
        return self.classes.index(suggested), min(max(float(part), 0.0), 1.0)

    @cached_property
    def _suggested_probability(self) -> NDArray[np.float64]:
        return self.table[SUGGESTED_PROBABILITY].to_numpy(dtype=np.float64)

    @cached_property
    def given_values(self) -> NDArray[np.float64]:
        """The numbers of a run whose samples are labelled with numbers, `(n_samples,)`."""
        return self.table[GIVEN_VALUE].to_numpy(dtype=np.float64)

    @cached_property
    def predicted_values(self) -> NDArray[np.float64]:
        """What its model predicts, in the same units, `(n_samples,)`."""
        return self.table[PREDICTED_VALUE].to_numpy(dtype=np.float64)

    @cached_property
    def contents(self) -> list[str] | None:
        """A hash of what each sample holds, empty where it has none; None for a run from before there were hashes."""
        return self.table[CONTENT].fillna("").tolist() if CONTENT in self.table else None

    @cached_property
    def metadata(self) -> pd.DataFrame:
        """Columns of the data with few distinct values, as text, one row a sample; no columns where there are none."""
        return self.run.metadata(len(self))

    @cached_property
    def finding_names(self) -> tuple[str, ...]:
        """Kinds of finding in this run, without "none"."""
        if "finding" not in self.table:
            return ()
        present = self.table["finding"].dropna().astype(str).unique()
        return tuple(sorted(name for name in present if name and name != NO_FINDING))

    @cached_property
    def finding(self) -> NDArray[np.int64]:
        """`(n_samples,)` indices into `finding_names`, -1 where there is none."""
        if not self.finding_names:
            return np.full(len(self), -1, dtype=np.int64)
        return pd.Categorical(self.table["finding"].astype(str), categories=self.finding_names).codes.astype(np.int64)

    @cached_property
    def row_of(self) -> dict[str, int]:
        """The row of every sample id."""
        return {sample_id: row for row, sample_id in enumerate(self.ids)}

    @cached_property
    def _code_of(self) -> dict[str, int]:
        return {name: code for code, name in enumerate(self.classes)}

    def class_name(self, code: int) -> str:
        """The name of a class, a dash where there is none."""
        return self.classes[code] if 0 <= code < len(self.classes) else "–"

    def text(self, column: str, row: int) -> str:
        """An optional text column of the table, empty where it is missing."""
        if column not in self.table:
            return ""
        value: Any = self.table[column].iat[row]
        return "" if pd.isna(value) else str(value)

    @property
    def target(self) -> str:
        """What a sample is labelled with, where it has labels: class, number or labels."""
        return self.info.target

    def require_label(self, label: str | None) -> None:
        """Raise `OgaError` unless a sample may be relabelled to this: one of the classes, or a number as text."""
        if self.target == "labels":
            require_labels(label, self.info.label_names)
            return
        if self.target == "class":
            if label not in self.classes:
                raise unknown("class", str(label), self.classes)
            return
        if label is None or not is_number(label):
            raise OgaError(f"The new value {label!r} is not a number. Write it with a point, such as 3.5.")

    @cached_property
    def suggested_labels(self) -> NDArray[np.object_]:
        """The class or number to relabel every sample to, as text, `(n_samples,)`, empty without a suggestion."""
        if self.target != "class":
            return self._texts("suggested_label", slice(None))
        return np.array([*self.classes, ""], dtype=object)[self.suggestions]

    def suggestion(self, row: int) -> int:
        """The class to relabel to, -1 where nothing speaks against the given label or for another one.

        The run's own suggestion where it finds the label wrong, else the prediction where it differs. What the model
        makes of a sample out of distribution says nothing.
        """
        return int(self._suggested(slice(row, row + 1))[0])

    @cached_property
    def suggestions(self) -> NDArray[np.int64]:
        """The class to relabel every sample to, `(n_samples,)`, -1 where there is no suggestion."""
        return self._suggested(slice(None))

    def _suggested(self, rows: slice) -> NDArray[np.int64]:
        given = self.given[rows]
        predicted = self.predicted[rows]
        finding = self._texts("finding", rows)
        own = np.array([self._code_of.get(name, -1) for name in self._texts("suggested_label", rows)], dtype=np.int64)
        label = np.where((own >= 0) & ((predicted != given) | (finding == MISLABELLED)), own, predicted)
        return np.where((finding == STRANGE) | (label == given), -1, label).astype(np.int64)

    def _texts(self, column: str, rows: slice) -> NDArray[np.object_]:
        """A text column of the table, empty where it is missing."""
        if column not in self.table:
            return np.full(len(self.given[rows]), "", dtype=object)
        return self.table[column].iloc[rows].fillna("").to_numpy(dtype=object)

    def proposal(self, row: int) -> str | None:
        """The label a press of one key takes: the suggestion, else the prediction; none out of distribution."""
        if self.target != "class":
            return self.text("suggested_label", row) or self.text("predicted_label", row) or None
        if not self.classes or self.text("finding", row) == STRANGE:
            return None
        suggestion = self.suggestion(row)
        return self.class_name(suggestion if suggestion >= 0 else int(self.predicted[row]))

    def given_text(self, row: int) -> str | None:
        """The label of a sample as text, None where it has none."""
        if self.target != "class":
            return self.text("given_label", row)
        return self.class_name(self.given[row]) if self.given[row] >= 0 else None

    def _codes(self, column: str) -> NDArray[np.int64]:
        if column not in self.table or not self.classes:
            return np.full(len(self), -1, dtype=np.int64)
        return pd.Categorical(self.table[column].astype(str), categories=self.classes).codes.astype(np.int64)
