"""The decisions of a run as arrays beside its samples, kept up to date from the log."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from oga_core.review import ReviewStore
from oga_core.review.decisions import ACTIONS, BAD_ACTIONS, Decision
from oga_core.runs.scored import ScoredRun
from oga_core.threshold.expectation import Expectation

LEARN_EVERY = 5
"""Decisions after which probabilities are learnt again: one hardly moves them, and the next sample must not wait."""
LEARNT_AT_ONCE = 1_000_000
"""Samples whose probabilities are learnt in a tenth of a second; nobody waits for those of more."""


class DecisionBoard:
    """What stands for every sample, `codes` `(n_samples,)` int8: -1 undecided, else the index into `ACTIONS`.

    judged: `(n_samples,)`, whether it was found right or wrong, which estimates learn from.

    `refresh` reads only the steps since the last time, so it costs nothing where nothing was decided.
    """

    def __init__(self, data: ScoredRun, store: ReviewStore):
        self.store = store
        self.codes = np.full(len(data), -1, dtype=np.int8)
        self.judged = np.zeros(len(data), dtype=bool)
        self.decisions: dict[str, Decision] = {}
        self._data = data
        self._last = 0
        self._lock = threading.Lock()
        self._learnt = self.step()
        self._wrong = data.wrong_probability
        self._learning: threading.Thread | None = None

    @property
    def version(self) -> int:
        """The number of the last step that was read."""
        return self._last

    @property
    def verdicts(self) -> NDArray[np.int8]:
        """`codes` of what was judged, -1 for all else."""
        return np.where(self.judged, self.codes, np.int8(-1))

    def refresh(self) -> DecisionBoard:
        """Read what was decided since, by anyone."""
        with self._lock:
            self._last, changes = self.store.changes(self._last)
            rows = self._data.ids.rows(changes).tolist()
            for row, (sample_id, decision) in zip(rows, changes.items(), strict=True):
                if row >= 0:
                    self.codes[row] = -1 if decision is None else ACTIONS.index(decision.action)
                    self.judged[row] = decision is not None and decision.is_verdict
                if decision is None:
                    self.decisions.pop(sample_id, None)
                else:
                    self.decisions[sample_id] = decision
        return self

    def step(self, every: int = LEARN_EVERY) -> tuple[int, int]:
        """What changes with every so many decisions, be they one by one or many in one step."""
        return self._last // every, len(self.decisions) // every

    def expectation(self, score: str) -> Expectation:
        """What to expect at any threshold of a score, from the verdicts so far."""
        reviewed = np.flatnonzero(self.judged)
        bad = np.isin(self.codes[reviewed], [ACTIONS.index(action) for action in BAD_ACTIONS])
        return Expectation(self._data.ranked(score), reviewed, bad, **self._data.beliefs)

    def wrong_probability(self) -> NDArray[np.float64] | None:
        """How likely each label is wrong, `(n_samples,)`: the one probability that a person reads.

        The run's own, moved by the verdicts, of every five of which it learns. None where the run tells nothing. Of
        millions it learns in the background, and gives what it knew before meanwhile.
        """
        step = self.step()
        if self._wrong is not None and step != self._learnt:
            if len(self._data) <= LEARNT_AT_ONCE:
                self._learn(step)
            elif self._learning is None or not self._learning.is_alive():
                self._learning = threading.Thread(target=self._learn, args=(step,), daemon=True)
                self._learning.start()
        return self._wrong

    @property
    def learnt(self) -> tuple[int, int]:
        """The step whose decisions are in `wrong_probability`."""
        self.wrong_probability()
        return self._learnt

    def _learn(self, step: tuple[int, int]) -> None:
        self._wrong = self.expectation(self._data.default_score).revised()
        self._learnt = step
