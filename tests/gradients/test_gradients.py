"""The pass as a whole: arrays, resuming, unreadable samples, against gradients computed one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from engine_helpers import ArrayTask, random_samples
from test_gradient_capture import PositionsOncePerBatch
from torch import nn

from oga_core.errors import OgaError
from oga_core.gradients import PassOptions, gradient_pass, outputs_pass
from oga_core.gradients.arrays import PassArrays
from oga_core.gradients.hooks.forward_capture import features_of


def mlp(n_in: int = 6, n_classes: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(n_in, 8), nn.ReLU(), nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, n_classes))


def head_gradients(model: nn.Module, task: ArrayTask, samples) -> np.ndarray:
    rows = []
    for row in range(len(samples)):
        batch = task.batch(samples, np.array([row]))
        loss = task.losses(task.outputs(model, batch), batch).sum()
        rows.append(torch.autograd.grad(loss, model[-1].weight)[0].flatten().numpy())
    return np.stack(rows)


def test_head_pass_agrees_with_gradients_one_by_one(tmp_path):
    samples, task, model = random_samples(40, 6), ArrayTask(), mlp()
    result = gradient_pass(task, model, samples, folder=tmp_path, options=PassOptions(batch_size=16))
    gradients = head_gradients(model, task, samples)
    sketch = result.sketch
    outer = np.einsum("nc,nf->ncf", sketch.delta, sketch.features).reshape(40, -1)
    np.testing.assert_allclose(outer, gradients, atol=1e-6)
    # 3 x 7 numbers fit into the sketch, so its dot products are exact.
    assert sketch.sketch.shape == (40, 21)
    np.testing.assert_allclose(sketch.sketch @ sketch.sketch.T, gradients @ gradients.T, atol=1e-5)
    x, labels = torch.from_numpy(samples.inputs), torch.from_numpy(samples.given_labels)
    expected = nn.functional.cross_entropy(model(x), labels, reduction="none").detach().numpy()
    np.testing.assert_allclose(sketch.losses, expected, rtol=1e-5)
    np.testing.assert_array_equal(sketch.given_labels, samples.given_labels)
    assert isinstance(sketch.logits, np.memmap)
    assert sketch.middle_features.shape == (40, 8)
    assert sketch.check_error < 1e-6


@pytest.mark.parametrize(
    "select",
    [
        lambda logits: logits[torch.arange(len(logits)), -1],
        lambda logits: logits[:, -1, :],
        lambda logits: logits[..., -1, :],
        lambda logits: logits.select(1, -1),
    ],
)
def test_the_head_is_found_behind_reshapes_and_selections(select, tmp_path):
    class TokenHead(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(5, 4), nn.Linear(4, 3)

        def forward(self, x):
            hidden = torch.relu(self.body(x))  # (batch, time, 4)
            self.hidden = hidden[:, -1]
            return select(self.head(hidden)).float()

    model = TokenHead()
    samples = random_samples(4, 6, 5)
    result = gradient_pass(ArrayTask(), model, samples, folder=tmp_path, options=PassOptions(batch_size=4))
    np.testing.assert_allclose(result.sketch.features, model.hidden.detach().numpy(), rtol=1e-6)
    assert not result.notes


def test_a_model_without_a_last_linear_layer_is_scored_from_its_logits(tmp_path):
    class LogSoftmax(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 3)

        def forward(self, x):
            return self.layer(x).log_softmax(1)

    result = gradient_pass(ArrayTask(), LogSoftmax(), random_samples(10, 6), folder=tmp_path)
    assert result.sketch.features is None
    assert "no last linear layer" in result.notes[0]
    np.testing.assert_allclose(np.abs(result.sketch.sketch), np.abs(result.sketch.delta), atol=1e-6)


class Changed(nn.Module):
    """Its last linear layer's output is changed before it becomes the logits."""

    def __init__(self, change):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head, self.change = nn.Linear(6, 5), nn.Linear(5, 3), change

    def forward(self, x):
        return self.change(self.head(self.body(x).tanh()))


CHANGES = {
    "divided": lambda logits: logits.div_(2.5),
    "relu": torch.relu_,
    "clamped": lambda logits: logits.clamp_(-0.3, 0.3),
    "masked": lambda logits: logits.masked_fill_(torch.tensor([False, True, False]), -2.0),
    "added": lambda logits: logits.add_(torch.randn(3)),
    "divided, then a view": lambda logits: logits.div_(2.5).view(len(logits), 3),
    "view, then divided": lambda logits: [logits.view(len(logits), 3), logits.div_(2.5)][0],
    "classes picked": lambda logits: logits[:, torch.tensor([2, 0, 1])],
    "classes turned": lambda logits: logits[..., torch.tensor([2, 0, 1])],
}


@pytest.mark.parametrize("name", CHANGES)
def test_logits_changed_after_the_last_linear_layer_have_no_features(name, tmp_path):
    result = gradient_pass(ArrayTask(), Changed(CHANGES[name]), random_samples(10, 6), folder=tmp_path)
    sketch = result.sketch
    assert sketch.features is None
    assert "The model has no last linear layer that makes its logits" in result.notes[0]
    assert sketch.check_error < 1e-6
    np.testing.assert_allclose(np.abs(sketch.sketch), np.abs(sketch.delta), atol=1e-6)


@pytest.mark.parametrize("parameters", ["head", "all"])
def test_a_wrong_head_does_not_pass_the_self_check(parameters, tmp_path, monkeypatch):
    def wrong(logits):
        return features_of(logits) * 1.01

    monkeypatch.setattr("oga_core.gradients.head_pass.features_of", wrong)
    options = PassOptions(parameters=parameters)
    result = gradient_pass(ArrayTask(), mlp(), random_samples(10, 6), folder=tmp_path, options=options)
    assert result.sketch.features is None
    assert "did not pass the self-check (relative error 1.0e-02)" in result.notes[0]
    assert result.sketch.check_error < 1e-5


@pytest.mark.parametrize("parameters", ["head", "all"])
def test_samples_learnt_by_heart_pass_the_self_check(parameters, tmp_path):
    torch.manual_seed(0)
    model, samples = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3)), random_samples(400, 64)
    with torch.no_grad():
        logits = model(torch.from_numpy(samples.inputs))
        samples.given_labels[:] = logits.argmax(1).numpy()
        best = logits.topk(2, dim=1).values
        margins = best[:, 0] - best[:, 1]
        model[-1].weight *= 15 / float(margins.median())  # then p - y is lost in rounding
    samples = samples.take(margins.argsort()[190:210].numpy())
    options = PassOptions(parameters=parameters)
    result = gradient_pass(ArrayTask(), model, samples, folder=tmp_path, options=options)
    assert result.notes == ()
    assert 0 <= result.sketch.check_error < 1e-5


def test_where_some_batches_have_no_features_no_sample_has(tmp_path):
    model = Changed(lambda logits: logits * 2 if model.rare else logits)
    model.body.register_forward_hook(lambda _, args, __: setattr(model, "rare", bool((args[0] > 50).any())))
    samples = random_samples(40, 6)
    samples.inputs[30, 0] = 100
    result = gradient_pass(ArrayTask(), model, samples, folder=tmp_path, options=PassOptions(batch_size=8))
    assert result.sketch.features is None
    assert "logits of some samples" in result.notes[0]
    np.testing.assert_allclose(np.abs(result.sketch.sketch), np.abs(result.sketch.delta), atol=1e-6)


def test_an_optional_array_that_not_every_batch_has_is_dropped(tmp_path):
    arrays, rows = PassArrays(tmp_path, 4, "x"), np.arange(2)
    part = {name: np.ones((2, 3), np.float32) for name in ("sketch", "middle_features", "view_logits")}
    arrays.write(rows, part)
    arrays.write(rows + 2, {**part, "middle_features": np.ones((2, 5), np.float32), "view_features": part["sketch"]})
    assert sorted(path.stem for path in tmp_path.glob("*.npy")) == ["sketch", "view_logits"]


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


def test_views_are_averaged_with_the_original(tmp_path):
    samples, model = random_samples(12, 6), mlp()
    result = gradient_pass(
        ArrayTask(mirror=True), model, samples, folder=tmp_path, options=PassOptions(batch_size=12, views=True)
    )
    x = torch.from_numpy(samples.inputs)
    expected = ((model(x) + model(-x)) / 2).detach().numpy()
    np.testing.assert_allclose(result.sketch.view_logits, expected, atol=1e-6)
    expected = ((model[:4](x) + model[:4](-x)) / 2).detach().numpy()
    np.testing.assert_allclose(result.sketch.view_features, expected, atol=1e-6)
    expected = ((model[:2](x) + model[:2](-x)) / 2).detach().numpy()
    np.testing.assert_allclose(result.sketch.middle_features, expected, atol=1e-6)


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
