"""How fast this machine is beside the one on which costs were measured."""

from __future__ import annotations

import time

import numpy as np

_ROWS = 60_000
_FEATURES = 64
"""Enough to leave the caches of a processor, as samples do, and a tenth of a second's work."""
_ROUNDS = 3


def probe_seconds() -> float:
    """The seconds of the processor that a fixed piece of work takes: products, gathering, sorting, exponentials.

    The least of a few rounds, since others may be at work.
    """
    generator = np.random.default_rng(0)
    rows = generator.standard_normal((_ROWS, _FEATURES)).astype(np.float32)
    order = generator.permutation(_ROWS)
    seconds = []
    for _ in range(_ROUNDS):
        start = time.process_time()
        product = rows[order] @ rows[:_FEATURES].T
        np.exp(-np.abs(product), out=product)
        np.argsort(product[:, 0])
        seconds.append(time.process_time() - start)
    return max(min(seconds), 1e-6)
