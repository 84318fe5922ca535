"""Room for large arrays: in files that are gone with them, and in memory where there is no folder or no disk."""

import errno
import mmap
import os

import numpy as np
import psutil
import pytest
from problems import blobs

from oga_core import numerics
from oga_core.numerics import room, room_in
from oga_core.scores import compute_scores
from oga_core.scores.ensemble import ensemble, mean_probabilities


def lies_in_a_file(array: np.ndarray) -> bool:
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap.mmap)


def own_memory() -> int:
    status = psutil.Process().memory_info()
    return status.rss - status.shared


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="counts memory as Linux does")
def test_large_arrays_take_no_memory_of_the_process(tmp_path):
    with room_in(tmp_path):
        before = own_memory()
        large = room((1 << 16, 64), np.float64)
        large[:] = 1
        assert lies_in_a_file(large)
        assert own_memory() - before < large.nbytes / 4
        assert list(tmp_path.iterdir()) == []
        assert not lies_in_a_file(room(1000))
    assert not lies_in_a_file(room((1 << 16, 64), np.float64))


def test_a_full_disk_leaves_arrays_in_memory(tmp_path, monkeypatch):
    def full(descriptor: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(numerics, "_reserve", full)
    with room_in(tmp_path):
        large = room(1 << 20, np.float64)
    large[:] = 2
    assert not lies_in_a_file(large)


def test_scores_in_files_are_those_in_memory_and_what_fits_keep_lies_there(tmp_path, monkeypatch):
    sketch, _ = blobs(300)
    expected, _ = compute_scores(sketch)
    monkeypatch.setattr(numerics, "LARGE", 1)
    again, _ = blobs(300)
    with room_in(tmp_path):
        scores, _ = compute_scores(again)
        assert all(lies_in_a_file(member.logits) for member in ensemble(again))
        kept = (again.probabilities, again.delta, mean_probabilities(again), *scores.values())
    assert [name for name, values in scores.items() if not np.array_equal(values, expected[name])] == []
    assert all(map(lies_in_a_file, kept[:3]))
