"""Results are copied while the next batch is worked on: the same arrays, in order, whatever fails on the way.

Copies of a card cannot be had here. `Late` stands for them: nothing is where it will be before it is waited for.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from engine_helpers import ArrayTask, mlp, random_samples
from torch import nn

from oga_core.errors import OgaError
from oga_core.gradients import walk
from oga_core.gradients.cards.transfers import AtOnce, Beside, in_turn, transfers_for
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass

CPU = torch.device("cpu")
SAMPLES = random_samples(23, 6)
BATCH = 6  # which no self-check takes at a time


class Late(AtOnce):
    """Copies that are done at the last moment, one of which may fail; notes what happens."""

    behind = True

    def __init__(self, failing=None):
        self.failing = failing
        self.begun = 0
        self.happened = []

    def fetch(self, values):
        number = self.begun
        self.begun += 1
        self.happened.append(f"begin {number}")
        arrays = {name: np.full_like(value.numpy(), -999) for name, value in values.items()}

        def wait():
            self.happened.append(f"wait {number}")
            if number == self.failing:
                raise RuntimeError("CUDA error: an illegal memory access was encountered")
            for name, value in values.items():
                arrays[name][...] = value.numpy()
            return arrays

        return wait


class Failing(nn.Module):
    """Raises `error` for a batch of more than `fitting` samples with the one that is called."""

    def __init__(self, row, error, fitting=4):
        super().__init__()
        self.model = mlp()
        self.first = torch.from_numpy(SAMPLES.inputs[row])
        self.error = error
        self.fitting = fitting
        self.sizes = []

    def forward(self, x):
        self.sizes.append(len(x))
        if self.error and len(x) > self.fitting and (x == self.first).all(1).any():
            raise self.error
        return self.model(x)


@pytest.fixture
def taken(tmp_path, monkeypatch):
    """Takes the pass with such transfers, in a folder by name."""

    def take(transfers, name="one", model=None, task=None, **more):
        monkeypatch.setattr(walk, "transfers_for", lambda device: transfers)
        options = PassOptions(parameters="all", batch_size=BATCH)
        model = (model or mlp()).eval()
        gradient_pass(task or ArrayTask(), model, SAMPLES, folder=tmp_path / name, options=options, **more)
        return tmp_path / name

    return take


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.npy")}


def recorded(folder):
    return json.loads((folder / "progress.json").read_text())


@pytest.mark.parametrize("broken", [set(), {3, *range(12, 18)}])  # a whole batch among them
def test_arrays_are_the_same_whenever_they_are_copied(broken, taken, monkeypatch):
    monkeypatch.setattr("oga_core.gradients.batches.LARGEST_UNREADABLE_SHARE", 0.5)
    late = Late()
    folders = [
        taken(transfers, name, task=ArrayTask(broken=broken))
        for name, transfers in (("at once", AtOnce()), ("late", late), ("beside", Beside(CPU)))
    ]
    expected, *others = map(contents, folders)
    assert "l2_norm_all.npy" in expected
    assert others == [expected, expected]
    n = late.begun
    assert n == 4 - bool(broken)
    assert late.happened.index("begin 1") < late.happened.index("wait 0")
    assert [event for event in late.happened if "wait" in event] == [f"wait {i}" for i in range(n)]
    ahead = np.cumsum([1 if "begin" in event else -1 for event in late.happened])
    assert ahead.max() == 2  # one that is worked on, one that is copied


def test_what_is_done_when_a_batch_fails_stays_and_is_not_done_again(taken):
    for transfers in (AtOnce(), Late(), Beside(CPU)):
        model = Failing(12, ValueError("no such shape"))
        name = type(transfers).__name__
        with pytest.raises(OgaError, match="no such shape"):
            taken(transfers, name, model)
        model.error = None
        model.sizes.clear()
        folder = taken(transfers, name, model)
        assert model.sizes.count(BATCH) == 1  # and five samples; two batches were done before
        assert contents(folder) == contents(taken(AtOnce(), f"{name} whole", model))


def test_an_error_that_a_card_tells_late_loses_nothing_before_it(taken, tmp_path):
    with pytest.raises(OgaError, match="illegal memory access"):
        taken(Late(failing=2), task=ArrayTask(broken={2 * BATCH + 1}))
    assert recorded(tmp_path / "one")["done"] == 2 * BATCH
    assert recorded(tmp_path / "one")["problems"] == []  # that sample is read again, and may be readable then
    assert contents(taken(Late())) == contents(taken(AtOnce(), "whole"))


def test_a_batch_too_large_for_memory_is_halved_behind_those_before_it(taken):
    whole = taken(AtOnce(), "whole", Failing(12, None))
    for transfers in (AtOnce(), Late(), Beside(CPU)):
        name = type(transfers).__name__
        model = Failing(12, torch.OutOfMemoryError("CUDA out of memory"))
        folder = taken(transfers, name, model)
        assert model.sizes.count(BATCH) == 3  # the third did not fit
        assert model.sizes[-4:] == [3, 3, 3, 2]
        for array in ("losses.npy", "sketch.npy"):
            np.testing.assert_allclose(np.load(folder / array), np.load(whole / array), rtol=1e-4, atol=1e-6)
    with pytest.raises(OgaError, match=r"not enough memory to run the model on 1 sample"):
        taken(Late(), "none", Failing(12, torch.OutOfMemoryError("CUDA out of memory"), fitting=0))


class Cancelled(Exception):
    pass


def test_a_pass_that_is_stopped_keeps_what_it_told_of(taken, tmp_path):
    told = []

    def progress(event):
        told.append(event["done"])
        if event["done"] == 2 * BATCH:
            raise Cancelled

    late = Late()
    with pytest.raises(Cancelled):
        taken(late, progress=progress)
    assert told == [BATCH, 2 * BATCH]
    assert recorded(tmp_path / "one")["done"] == 2 * BATCH
    assert late.begun == 3  # the third is worked on again
    assert contents(taken(Late())) == contents(taken(AtOnce(), "whole"))


def test_errors_of_a_stream_come_after_what_began_before_them():
    def items():
        yield from range(3)
        raise KeyError("unreadable")

    for behind in (False, True):
        seen = []
        with pytest.raises(KeyError):
            seen.extend(in_turn(items(), lambda item: item * 10, behind=behind))
        assert seen == [(0, 0), (1, 10), (2, 20)]
    assert list(in_turn([], str, behind=True)) == []


def test_only_cards_are_copied_from_beside_their_work(monkeypatch):
    assert isinstance(transfers_for(CPU), AtOnce)
    assert isinstance(transfers_for(torch.device("mps")), AtOnce)
    batch = {"x": torch.ones(2)}
    assert AtOnce().ready(batch) is batch
    if not torch.cuda.is_available():
        assert Beside(CPU).ready(batch) is batch  # there is no memory of the kind
