"""How many workers take a pass at once, and on which cards, by the flags of `oga score`."""

from __future__ import annotations

import argparse
import os


def cards_of(options: argparse.Namespace) -> list[str]:
    """Return the cards of this machine that share the work out; none unless `cuda` was asked for without a number."""
    if options.device != "cuda" or options.on == "ray" or options.shard or options.overwrite:
        return []
    from oga_core.gradients.devices import cards  # takes seconds to import, for torch

    return cards()


def workers_of(options: argparse.Namespace) -> int:
    """Return how many processes take the pass at once: one a card, or as many as were asked for."""
    if options.shard:
        return 1
    if options.workers:
        return int(options.workers)
    if options.on == "ray":
        from oga_core.shards.ray_executor import slots

        return slots(options.device)
    return len(cards_of(options)) or (os.cpu_count() or 1 if options.on else 1)
