"""The pass as a whole: arrays, resuming, unreadable samples, against gradients computed one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from engine_helpers import ArrayTask, random_samples
from torch import nn

from oga_core.errors import OgaError
from oga_core.gradients import PassOptions, gradient_pass, outputs_pass


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
    assert not (tmp_path / "progress.json").exists()


def test_the_head_is_found_behind_reshapes_and_selections(tmp_path):
    class TokenHead(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(5, 4), nn.Linear(4, 3)

        def forward(self, x):
            hidden = torch.relu(self.body(x))  # (batch, time, 4)
            self.hidden = hidden[:, -1]
            return self.head(hidden)[torch.arange(len(x)), -1].float()

    model = TokenHead()
    samples = random_samples(4, 6, 5)
    result = gradient_pass(ArrayTask(), model, samples, folder=tmp_path, options=PassOptions(batch_size=4))
    np.testing.assert_array_equal(result.sketch.features, model.hidden.detach().numpy())
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
    monkeypatch.setattr("oga_core.gradients.passes._SECONDS_BETWEEN_RECORDS", 0.0)
    samples, model, options = random_samples(64, 6), mlp(), PassOptions(batch_size=8)
    whole = gradient_pass(ArrayTask(), model, samples, folder=tmp_path / "whole", options=options)
    with pytest.raises(Interrupted):
        gradient_pass(ArrayTask(), model, samples, folder=tmp_path / "part", options=options, progress=interrupt_at(40))
    task = ArrayTask()
    result = gradient_pass(task, model, samples, folder=tmp_path / "part", options=options)
    assert task.calls == 1 + 3  # the survey, and three batches of eight
    for name in ("logits", "features", "sketch", "losses", "middle_features"):
        np.testing.assert_array_equal(getattr(result.sketch, name), getattr(whole.sketch, name))


@pytest.mark.parametrize("change", ["options", "model", "labels"])
def test_a_changed_input_starts_afresh(tmp_path, monkeypatch, change):
    monkeypatch.setattr("oga_core.gradients.passes._SECONDS_BETWEEN_RECORDS", 0.0)
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
    assert task.calls == 1 + 8


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
