"""The head's gradient in closed form, and the last linear layer that it stands on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from engine_helpers import ArrayTask, mlp, random_samples
from torch import nn

from oga_core.gradients.hooks.forward_capture import features_of
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass


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


@pytest.mark.parametrize(
    "last",
    [
        lambda logits: logits.flatten(1),
        lambda logits: logits.squeeze(-1).squeeze(-1),
        lambda logits: logits.mean((2, 3)),
        lambda logits: nn.functional.adaptive_avg_pool2d(logits, 1).view(len(logits), -1),
    ],
)
@pytest.mark.parametrize(("pool", "size"), [(1, 1), (2, 2)])
def test_a_convolution_that_sees_all_is_a_last_linear_layer(last, pool, size, tmp_path):
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(pool))
    model = nn.Sequential(body, nn.Conv2d(4, 3, size))
    model.forward = lambda x: last(model[1](body(x)))
    samples = random_samples(7, 3, 6, 6)
    result = gradient_pass(ArrayTask(), model, samples, folder=tmp_path, options=PassOptions(batch_size=4))
    assert not result.notes
    features = body(torch.from_numpy(samples.inputs)).flatten(1)
    np.testing.assert_allclose(result.sketch.features, features.detach().numpy(), rtol=1e-5)
    outer = np.einsum("nc,nf->ncf", result.sketch.delta, result.sketch.features).reshape(7, -1)
    np.testing.assert_allclose(outer, head_gradients(model, ArrayTask(), samples), atol=1e-6)


def test_a_convolution_over_places_is_no_last_linear_layer(tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 3, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    result = gradient_pass(ArrayTask(), model, random_samples(4, 3, 5, 5), folder=tmp_path)
    assert result.sketch.features is None
    assert "no last linear layer" in " ".join(result.notes)


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
