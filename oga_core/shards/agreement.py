"""Whether the shards of a run belong together: none missing, none twice, all of the same data, model and options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oga_core.errors import OgaError
from oga_core.shards.damage import check_files
from oga_core.shards.marker import Marker, markers
from oga_core.shards.placement import given_up_in

_OWN_OPTIONS = {"device", "labels", "model_card"}
"""What may differ between machines: where files lie; what is in them is part of the fingerprints."""
_NAMED = 5


def complete_shards(run: Path) -> list[tuple[Path, Marker]]:
    """Return all shards of a run. Raises `OgaError` where some are missing or do not belong together."""
    shards = markers(run)
    if not shards:
        raise OgaError(f"{run} has no finished shards. Make them with: oga score DATA --run {run} --shard 1/4, 2/4, …")
    check_counts(run)
    counts = [shards[0][1].shard.count]
    missing = sorted({*range(1, counts[0] + 1)} - {marker.shard.number for _, marker in shards})
    if missing:
        raise OgaError(
            f"Of {counts[0]:,} shards {_some(missing)} {'is' if len(missing) == 1 else 'are'} missing. Score "
            f"{'it' if len(missing) == 1 else 'them'} with the same options and --shard {missing[0]}/{counts[0]}."
        )
    check_files(shards)
    _check_agreement([marker for _, marker in shards])
    _check_given_up(shards)
    return shards


def check_counts(run: Path, count: int | None = None) -> None:
    """Raise `OgaError` where the finished shards of a run are not all of one count, or not of the one that is given."""
    counts = sorted({marker.shard.count for _, marker in markers(run)} | ({count} if count else set()))
    if len(counts) > 1:
        raise OgaError(
            f"The run holds shards of {' and of '.join(f'{count:,}' for count in counts)}, which overlap: the same "
            f"samples would count twice. Remove the folders of the others from {run / 'shards'}."
        )


def _check_agreement(shards: Sequence[Marker]) -> None:
    first = shards[0]
    for marker in shards[1:]:
        differences = _differences(first, marker)
        if differences:
            raise OgaError(
                f"Shards {first.shard} and {marker.shard} do not belong together: {'; '.join(differences)}. "
                "Score all shards of one run from the same data and model with the same options."
            )


def _differences(one: Marker, other: Marker) -> list[str]:
    """What differs between two shards, in words."""
    names = sorted((one.options.keys() | other.options.keys()) - _OWN_OPTIONS)
    differences = [
        f"{name.replace('_', ' ')} is {one.options.get(name)!r} in one and {other.options.get(name)!r} in the other"
        for name in names
        if one.options.get(name) != other.options.get(name)
    ]
    if one.record["data"]["fingerprint"] != other.record["data"]["fingerprint"]:
        differences.append("the data have changed")
    elif not differences and one.record["pass_fingerprint"] != other.record["pass_fingerprint"]:
        differences.append("the model, the labels or how inputs are prepared have changed")
    return differences


def shards_behind(shards: Sequence[tuple[Path, Marker]]) -> list[int]:
    """Return the numbers of the shards that did not give up all that others gave up.

    A pass that finds something not to hold for a model starts again without it; so must the others.
    """
    given_up = {marker.shard.number: given_up_in(folder) for folder, marker in shards}
    everything = set().union(*given_up.values())
    return sorted(number for number, names in given_up.items() if names != everything)


def _check_given_up(shards: Sequence[tuple[Path, Marker]]) -> None:
    behind = shards_behind(shards)
    if behind:
        everything = set().union(*(given_up_in(folder) for folder, _ in shards))
        raise OgaError(
            f"Another shard found that gradients of this model must be computed in another way ({_some(everything)}), "
            f"which is not how {_some(behind)} of {shards[0][1].shard.count:,} did it. Score these shards again by the "
            "same commands; the others stay."
        )


def _some(values: Any) -> str:
    names = [str(value) for value in sorted(values)]
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
