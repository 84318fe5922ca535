"""Loops for which NumPy has no words, compiled by numba at their first call. Importing and compiling take a second."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from oga_core.numerics import Array, Values


def _descend(
    left: Array, right: Array, left_columns: Any, right_columns: Any, thresholds: Array, ends: Values, result: Values
) -> None:
    n_trees = result.shape[1]
    nodes = np.empty(len(right), dtype=np.uint32)
    for tree in range(n_trees):
        nodes[:] = tree
        start = 0
        width = n_trees
        while start < len(thresholds):
            c = left_columns[start : start + width]
            j = right_columns[start : start + width]
            t = thresholds[start : start + width]
            for row in range(len(right)):
                node = nodes[row]
                value = right[row, j[node]] * left[row, c[node]]
                nodes[row] = np.uint32(2) * node + np.uint32(value > t[node])
            start += width
            width *= 2
        for row in range(len(right)):
            result[row, tree] = ends[nodes[row]]


descend: Any = numba.njit(nogil=True)(_descend)
"""What the trees of a forest give each row, written into result, `(n_rows, n_trees)`.

A node's value is `right[row, right_columns] * left[row, left_columns]`; above its threshold the row goes on to the
second of its children. Nodes stand level after level, `n_trees` in the first and twice as many in each that follows;
ends: what the nodes below the last level give. One tree after the other and level by level, so that its nodes stay in
the cache and no row waits for another; indices without a sign, which cost no look at whether they count from the end.
"""
