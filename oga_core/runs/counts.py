"""Samples counted by class: shares of what was chosen, and given labels by predicted ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def class_shares(codes: NDArray[np.int64], n_classes: int, chosen: NDArray[np.int64]) -> pd.DataFrame:
    """Per class: number of samples, of chosen ones, and the share chosen in %; the most affected class first."""
    return shares(codes, codes[chosen], n_classes)


def shares(codes: NDArray[np.int64], some: NDArray[np.int64], n_classes: int) -> pd.DataFrame:
    """The same where the codes of the chosen ones stand by themselves."""
    total = np.bincount(codes[codes >= 0], minlength=n_classes)
    count = np.bincount(some[some >= 0], minlength=n_classes)
    share = np.divide(count, total, out=np.zeros(n_classes), where=total > 0)
    frame = pd.DataFrame({"class": np.arange(n_classes), "samples": total, "flagged": count, "share": 100 * share})
    return frame.sort_values(["share", "samples"], ascending=False, kind="stable", ignore_index=True)


def confusion(given: NDArray[np.int64], predicted: NDArray[np.int64], n_classes: int) -> NDArray[np.int64]:
    """Counts of samples, `(n_classes, n_classes)`: given label by predicted label."""
    known = (given >= 0) & (predicted >= 0)
    flat = np.bincount(given[known] * n_classes + predicted[known], minlength=n_classes * n_classes)
    return flat.reshape(n_classes, n_classes)
