"""The decisions of a run as arrays beside its samples, kept up to date from the log."""

from __future__ import annotations

import threading

import numpy as np

from oga_core.review import ReviewStore
from oga_core.review.decisions import ACTIONS, Decision
from oga_core.runs.scored import ScoredRun


class DecisionBoard:
    """What stands for every sample, `codes` `(n_samples,)` int8: -1 undecided, else the index into `ACTIONS`.

    `refresh` reads only the steps since the last time, so it costs nothing where nothing was decided.
    """

    def __init__(self, data: ScoredRun, store: ReviewStore):
        self.store = store
        self.codes = np.full(len(data), -1, dtype=np.int8)
        self.decisions: dict[str, Decision] = {}
        self._data = data
        self._last = 0
        self._lock = threading.Lock()

    @property
    def version(self) -> int:
        """The number of the last step that was read."""
        return self._last

    def refresh(self) -> DecisionBoard:
        """Read what was decided since, by anyone."""
        with self._lock:
            self._last, changes = self.store.changes(self._last)
            for sample_id, decision in changes.items():
                row = self._data.row_of.get(sample_id)
                if row is not None:
                    self.codes[row] = -1 if decision is None else ACTIONS.index(decision.action)
                if decision is None:
                    self.decisions.pop(sample_id, None)
                else:
                    self.decisions[sample_id] = decision
        return self
