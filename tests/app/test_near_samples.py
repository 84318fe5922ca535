"""Which samples lie near another in gradient space, of few samples and of many."""

import mmap
from dataclasses import replace

import numpy as np
import pytest
from app_runs import image_run

from oga_core.runs import evidence as evidence_of_runs
from oga_core.runs.evidence import Evidence
from oga_core.runs.scored import ScoredRun


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return ScoredRun(image_run(tmp_path_factory.mktemp("images")).path)


@pytest.mark.parametrize("whole", [10**5, 1])
def test_nearest_neighbours_are_the_nearest(data, whole, monkeypatch):
    monkeypatch.setattr(evidence_of_runs, "_WHOLE", whole)  # above it those near on the map are compared, here all
    monkeypatch.setattr(evidence_of_runs, "_CANDIDATES", len(data) - 1)
    evidence, row = Evidence(data), 7

    def exact(array, wanted, count):
        directions = array / np.maximum(np.linalg.norm(array, axis=1, keepdims=True), 1e-12)
        order = np.argsort(-(directions @ directions[row]), kind="stable")
        return [i for i in order if wanted[i] and i != row][:count]

    same = data.given == data.given[row]
    found, others = evidence.neighbours(row, 5)
    assert {item.row for item in found} == set(exact(evidence.sketch.sketch, same, 5))
    assert {item.row for item in others} == set(exact(evidence.sketch.sketch, ~same, 5))
    assert [item.similarity for item in found] == sorted((item.similarity for item in found), reverse=True)
    alike = {item.row for item in evidence.look_alikes(row, 5)}
    assert alike == set(exact(evidence.sketch.features, np.ones(len(data), bool), 5))


def test_near_samples_of_many_are_read_once_and_without_what_lies_around_them(data, tmp_path, monkeypatch):
    monkeypatch.setattr(evidence_of_runs, "_WHOLE", 1)
    monkeypatch.setattr(evidence_of_runs, "_CANDIDATES", len(data) - 1)
    told = []

    class Mapped(mmap.mmap):
        def madvise(self, option, *_):
            told.append(option)

    evidence = Evidence(data)
    whole = np.ascontiguousarray(evidence.sketch.sketch)
    (tmp_path / "sketch").write_bytes(whole.tobytes())
    with (tmp_path / "sketch").open("rb") as file:
        mapped = Mapped(file.fileno(), 0, access=mmap.ACCESS_READ)
    sketch = replace(evidence.sketch, sketch=np.ndarray(whole.shape, np.float32, mapped))
    monkeypatch.setattr(evidence, "_arrays", (sketch, ""), raising=False)
    first = evidence.neighbours(7, 3)
    candidates_and_the_exact = 3  # one for both lists, and one for the best of each
    assert told == [mmap.MADV_RANDOM, mmap.MADV_NORMAL] * candidates_and_the_exact
    assert evidence.neighbours(8, 3) != first
    assert evidence.neighbours(7, 3) == first == Evidence(data).neighbours(7, 3)
