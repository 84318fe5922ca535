"""The pass as a whole: arrays, resuming, unreadable samples, against gradients computed one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from engine_helpers import ArrayTask, mlp, random_samples
from test_gradient_sequences import PositionsOncePerBatch
from test_head_pass import Changed
from torch import nn

from oga_core.ask.model import QueryPass
from oga_core.errors import OgaError
from oga_core.gradients.arrays import PassArrays
from oga_core.gradients.methods.hooks import HookMethod
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass, outputs_pass


def test_an_optional_array_that_not_every_batch_has_is_dropped(tmp_path):
    arrays, rows = PassArrays(tmp_path, 4, "x"), np.arange(2)
    part = {name: np.ones((2, 3), np.float32) for name in ("sketch", "middle_features", "view_logits")}
    arrays.write(rows, part)
    arrays.write(rows + 2, {**part, "middle_features": np.ones((2, 5), np.float32), "view_features": part["sketch"]})
    assert sorted(path.stem for path in tmp_path.glob("*.npy")) == ["sketch", "view_logits"]


def test_long_rows_lie_where_they_belong_and_an_interrupted_pass_finds_them(tmp_path):
    arrays = PassArrays(tmp_path, 4, "x")
    rows = np.arange(4 * 3000, dtype=np.float32).reshape(4, 3000)  # more than a page each
    arrays.write(np.array([2, 0]), {"gradients": rows[[2, 0]], "losses": rows[[2, 0], 0]})
    arrays.record(2)
    resumed = PassArrays(tmp_path, 4, "x")
    resumed.write(np.array([3, 1]), {"gradients": rows[[3, 1]], "losses": rows[[3, 1], 0]})
    np.testing.assert_array_equal(resumed.arrays["gradients"], rows)
    resumed.finish({})
    np.testing.assert_array_equal(np.load(tmp_path / "gradients.npy"), rows)


@pytest.mark.parametrize("row", [0, 31])  # the first is among the samples of the self-check
@pytest.mark.parametrize("parameters", ["head", "all"])
def test_samples_whose_output_is_not_finite_are_problems(row, parameters, tmp_path):
    samples, options = random_samples(60, 6), PassOptions(batch_size=16, parameters=parameters)
    whole = gradient_pass(ArrayTask(), mlp(), samples, folder=tmp_path / "a", options=options)
    samples.inputs[row, 2] = np.nan
    result = gradient_pass(ArrayTask(), mlp(), samples, folder=tmp_path / "b", options=options)
    assert [(p.sample_id, p.row) for p in result.problems] == [(f"s{row}", row)]
    assert result.problems[0].reason == "the model's output is not finite"
    assert result.notes == ()
    np.testing.assert_array_equal(result.rows, np.delete(np.arange(60), row))
    np.testing.assert_allclose(result.sketch.sketch, whole.sketch.sketch[result.rows], atol=1e-5)
    samples.inputs[10:14] = np.inf
    with pytest.raises(OgaError, match=r"read or scored, more than 5%.*output is not finite"):
        gradient_pass(ArrayTask(), mlp(), samples, folder=tmp_path / "c", options=options)
    samples.inputs[:] = np.nan
    with pytest.raises(OgaError, match=r"not finite .* for the samples that were tried first"):
        gradient_pass(ArrayTask(), mlp(), samples, folder=tmp_path / "d", options=options)


def test_one_measurement_tells_both_errors_of_the_highest_precision(tmp_path):
    class Counting(HookMethod):
        calls = 0

        def __call__(self, batch, reduction):
            Counting.calls += 1
            return super().__call__(batch, reduction)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("oga_core.gradients.passes.HookMethod", Counting)
        options = PassOptions(parameters="all", batch_size=5)
        sketch = gradient_pass(ArrayTask(), mlp(), random_samples(5, 6), folder=tmp_path, options=options).sketch
    assert Counting.calls == 2  # on the samples that are checked, and on the batch
    assert sketch.precision_error == sketch.check_error


@pytest.mark.parametrize("parameters", ["head", "all"])
def test_inputs_that_do_not_suit_the_model(parameters, tmp_path):
    options = PassOptions(batch_size=8, parameters=parameters)
    message = r"fails on these inputs \(x \(4, 5\)\): mat1 and mat2 shapes.* Check image_size"
    with pytest.raises(OgaError, match=message):
        gradient_pass(ArrayTask(), mlp(), random_samples(20, 5), folder=tmp_path, options=options)
    model, samples = nn.Sequential(Picky(6, 6), nn.Linear(6, 3)), random_samples(40, 6)
    samples.inputs[30] = 100
    with pytest.raises(OgaError, match=r"\(x \(8, 6\)\): 'too large'\. Check"):
        gradient_pass(ArrayTask(), model, samples, folder=tmp_path, options=options)


class Picky(nn.Linear):
    def forward(self, x):
        if x.max() > 50:
            raise KeyError("too large")
        return super().forward(x)


class Hungry(nn.Linear):
    largest = 16
    said = "[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."

    def forward(self, x):
        if len(x) > self.largest:
            raise RuntimeError(self.said)
        return super().forward(x)


@pytest.mark.parametrize("parameters", ["head", "all"])
def test_a_batch_that_does_not_fit_is_halved(parameters, tmp_path, monkeypatch):
    monkeypatch.setattr("oga_core.gradients.walk.SECONDS_BETWEEN_RECORDS", 0.0)
    model, samples = nn.Sequential(Hungry(6, 6), nn.Linear(6, 3)), random_samples(40, 6)
    options = PassOptions(batch_size=64, parameters=parameters)
    with pytest.raises(Interrupted):
        gradient_pass(ArrayTask(), model, samples, folder=tmp_path, options=options, progress=interrupt_at(32))
    reports = []
    result = gradient_pass(ArrayTask(), model, samples, folder=tmp_path, options=options, progress=reports.append)
    assert (result.batch_size, result.problems, result.notes) == (16, (), ())
    assert [report["done"] for report in reports] == [40]
    logits = model[1](nn.functional.linear(torch.from_numpy(samples.inputs), model[0].weight, model[0].bias))
    np.testing.assert_allclose(result.sketch.logits, logits.detach().numpy(), atol=1e-5)


def test_no_memory_for_the_first_samples(tmp_path, monkeypatch):
    monkeypatch.setattr(Hungry, "largest", 0)
    with pytest.raises(OgaError, match=r"not enough memory to run the model on 4 sample\(s\) \(x \(4, 6\)\)"):
        gradient_pass(ArrayTask(), nn.Sequential(Hungry(6, 3)), random_samples(9, 6), folder=tmp_path)


def test_unreadable_samples_are_listed_and_left_out(tmp_path):
    samples, model = random_samples(60, 6), mlp()
    whole = gradient_pass(ArrayTask(), model, samples, folder=tmp_path / "a", options=PassOptions(batch_size=16))
    task = ArrayTask(broken={3, 40})
    result = gradient_pass(task, model, samples, folder=tmp_path / "b", options=PassOptions(batch_size=16))
    assert [(p.sample_id, p.row) for p in result.problems] == [("s3", 3), ("s40", 40)]
    assert "row 3 is broken" in result.problems[0].reason
    assert len(result.sketch) == 58
    np.testing.assert_array_equal(result.rows, np.delete(np.arange(60), [3, 40]))
    np.testing.assert_allclose(result.sketch.logits, whole.sketch.logits[result.rows], atol=1e-6)
    np.testing.assert_array_equal(result.sketch.given_labels, samples.given_labels[result.rows])


def test_the_first_samples_may_be_unreadable(tmp_path):
    model, task = PositionsOncePerBatch(), ArrayTask(broken={33, 66, 99})
    result = gradient_pass(
        task, model, random_samples(100, 7, tokens=11), folder=tmp_path, options=PassOptions(parameters="all")
    )
    assert (len(result.sketch), result.notes) == (97, ())


def test_more_than_five_percent_unreadable_stops(tmp_path):
    task = ArrayTask(broken={0, 1, 2, 3})
    with pytest.raises(OgaError, match=r"of 60 samples cannot be read.*s0: row 0 is broken"):
        gradient_pass(task, mlp(), random_samples(60, 6), folder=tmp_path)


class Interrupted(Exception):
    pass


def interrupt_at(done: int):
    def progress(report):
        if report["done"] >= done:
            raise Interrupted

    return progress


def test_an_interrupted_pass_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr("oga_core.gradients.walk.SECONDS_BETWEEN_RECORDS", 0.0)
    samples, model, options = random_samples(64, 6), mlp(), PassOptions(batch_size=8)
    whole = gradient_pass(ArrayTask(), model, samples, folder=tmp_path / "whole", options=options)
    with pytest.raises(Interrupted):
        gradient_pass(ArrayTask(), model, samples, folder=tmp_path / "part", options=options, progress=interrupt_at(40))
    task = ArrayTask()
    result = gradient_pass(task, model, samples, folder=tmp_path / "part", options=options)
    assert task.calls == 1 + 5 + 3  # the survey, the self-check, and three batches of eight
    for name in ("logits", "features", "sketch", "losses", "middle_features"):
        np.testing.assert_array_equal(getattr(result.sketch, name), getattr(whole.sketch, name))


@pytest.mark.parametrize("parameters", ["head", "all"])
def test_a_finished_pass_is_not_done_again(parameters, tmp_path):
    samples, model = random_samples(60, 6), Changed(lambda logits: logits.div_(2.0))
    options = PassOptions(parameters=parameters, batch_size=16)
    first = gradient_pass(ArrayTask(broken={40}), model, samples, folder=tmp_path, options=options)
    task = ArrayTask(broken={40})
    again = gradient_pass(task, model, samples, folder=tmp_path, options=options)
    assert task.calls == 0
    assert len(first.notes) == 1
    for name in ("problems", "notes", "batch_size", "device"):
        assert getattr(again, name) == getattr(first, name)
    assert (again.sketch.coverage, again.sketch.check_error) == (first.sketch.coverage, first.sketch.check_error)
    np.testing.assert_array_equal(again.rows, first.rows)
    np.testing.assert_array_equal(again.sketch.sketch, first.sketch.sketch)


@pytest.mark.parametrize("change", ["option", "preparation", "architecture", "file"])
def test_a_finished_pass_of_something_else_is_replaced(change, tmp_path):
    def make(activation):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 6), activation, nn.Linear(6, 3))

    class Halved(ArrayTask):
        def batch(self, samples, rows):
            batch = super().batch(samples, rows)
            return {**batch, "x": batch["x"] / 2}

    samples = random_samples(60, 6)
    gradient_pass(ArrayTask(), make(nn.ReLU()), samples, folder=tmp_path)
    task = Halved() if change == "preparation" else ArrayTask()
    model = make(nn.Tanh() if change == "architecture" else nn.ReLU())
    if change == "file":
        (tmp_path / "logits.npy").unlink()
    result = gradient_pass(task, model, samples, folder=tmp_path, options=PassOptions(seed=int(change == "option")))
    assert task.calls > 0
    x = torch.from_numpy(samples.inputs) / (2 if change == "preparation" else 1)
    np.testing.assert_allclose(result.sketch.logits, model(x).detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("change", ["options", "model", "labels"])
def test_a_changed_input_starts_afresh(tmp_path, monkeypatch, change):
    monkeypatch.setattr("oga_core.gradients.walk.SECONDS_BETWEEN_RECORDS", 0.0)
    samples, model, options = random_samples(64, 6), mlp(), PassOptions(batch_size=8)
    with pytest.raises(Interrupted):
        gradient_pass(ArrayTask(), model, samples, folder=tmp_path, options=options, progress=interrupt_at(40))
    if change == "options":
        options = PassOptions(batch_size=8, seed=1)
    elif change == "model":
        with torch.no_grad():
            model[0].weight[0, 0] += 1
    else:
        samples.given_labels[5] = (samples.given_labels[5] + 1) % 3
    task = ArrayTask()
    gradient_pass(task, model, samples, folder=tmp_path, options=options)
    assert task.calls == 1 + 5 + 8


def test_progress_tells_what_is_left(tmp_path):
    reports = []
    gradient_pass(
        ArrayTask(),
        mlp(),
        random_samples(20, 6),
        folder=tmp_path,
        options=PassOptions(batch_size=8),
        progress=reports.append,
    )
    assert [report["done"] for report in reports] == [8, 16, 20]
    assert {report["total"] for report in reports} == {20}
    assert reports[-1]["seconds_left"] == 0
    assert reports[0]["stage"] == "gradients"


def test_dropout_is_off_during_the_pass_and_the_mode_is_restored(tmp_path):
    model = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 3)).train()
    model[1].eval()
    model[1].train()
    samples = random_samples(16, 6)
    first = gradient_pass(ArrayTask(), model, samples, folder=tmp_path / "a")
    second = gradient_pass(ArrayTask(), model, samples, folder=tmp_path / "b")
    np.testing.assert_array_equal(first.sketch.logits, second.sketch.logits)
    assert model.training
    assert model[1].training


def test_outputs_alone_give_the_same_arrays(tmp_path):
    samples, model = random_samples(30, 6), mlp()
    whole = gradient_pass(ArrayTask(), model, samples, folder=tmp_path / "a").sketch
    outputs = outputs_pass(whole.logits, whole.features, samples.given_labels, folder=tmp_path / "b").sketch
    for name in ("losses", "sketch", "logits", "features", "given_labels"):
        np.testing.assert_allclose(getattr(outputs, name), getattr(whole, name), atol=1e-6)


@pytest.mark.parametrize(("wrong", "message"), [({"sketch_dim": 0}, "sketch_dim"), ({"batch_size": 0}, "batch size")])
def test_options_out_of_range(wrong, message):
    with pytest.raises(OgaError, match=message):
        PassOptions(**wrong)


def test_whole_gradients_are_the_gradients_one_parameter_after_the_other(tmp_path):
    model, samples = mlp(), random_samples(20, 6)
    n_parameters = sum(p.numel() for p in model.parameters())
    options = PassOptions(parameters="all", whole_parameters=n_parameters, device="cpu")
    sketch = gradient_pass(ArrayTask(), model, samples, folder=tmp_path / "a", options=options).sketch
    for row in (0, 7):
        batch = ArrayTask().batch(samples, np.array([row]))
        loss = ArrayTask().losses(model(batch["x"]), batch).sum()
        exact = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])
        np.testing.assert_allclose(sketch.gradients[row], exact.numpy(), rtol=1e-4, atol=1e-6)
    fewer = PassOptions(parameters="all", whole_parameters=n_parameters - 1, device="cpu")
    assert gradient_pass(ArrayTask(), model, samples, folder=tmp_path / "b", options=fewer).sketch.gradients is None


def test_a_query_has_the_gradient_that_the_same_sample_of_a_run_has(tmp_path):
    model, samples = mlp(), random_samples(20, 6)
    options = PassOptions(parameters="all", sketch_dim=32, seed=5, whole_parameters=10**6, device="cpu")
    sketch = gradient_pass(ArrayTask(), model, samples, folder=tmp_path / "a", options=options).sketch
    query = QueryPass(ArrayTask(), model, samples, options)
    arrays = query(ArrayTask().batch(samples, np.array([4, 11])))
    for name in ("sketch", "gradients", "losses"):
        np.testing.assert_allclose(arrays[name], getattr(sketch, name)[[4, 11]], rtol=1e-4, atol=1e-6)
