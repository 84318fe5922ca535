"""The parts of a retraining: its arms, its split, its heads and its whole networks."""

import numpy as np
import pytest
import torch
from engine_helpers import ArrayTask, random_samples
from PIL import Image
from scipy.optimize import minimize
from torch import nn

from oga_core.errors import OgaError
from oga_core.gradient_sketch import GradientSketch
from oga_core.retrain.arms import DECIDED, NOTHING_CHANGED, RANDOM_TRIM, RELABELLED, TRIMMED, Plan, stratified_split
from oga_core.retrain.inputs import CachedInputs, Inputs
from oga_core.retrain.training import Recipe, fit_head, head_logits, labelled, reinitialise, train_network
from oga_core.runs.folder import RunFolder


def test_arms_change_only_the_training_part():
    labels, training = np.arange(12) % 3, np.arange(9)
    plan = Plan(flagged=[1, 4, 10], predicted=[0, 0, 0], removed=[2, 11], relabelled={"3": 1, "9": 1})
    arms = {arm.name: arm for arm in plan.arms(training, labels, seed=0)}
    assert arms[NOTHING_CHANGED].rows.tolist() == list(range(9))
    assert arms[TRIMMED].rows.tolist() == [0, 2, 3, 5, 6, 7, 8]
    assert len(arms[RANDOM_TRIM].rows) == 7
    assert arms[RELABELLED].labels.tolist() == [0, 0, 2, 0, 0, 2, 0, 1, 2]
    assert arms[RELABELLED].n_relabelled == 2
    assert arms[DECIDED].rows.tolist() == [0, 1, 3, 4, 5, 6, 7, 8]
    assert arms[DECIDED].labels.tolist() == [0, 1, 1, 1, 2, 0, 1, 2]
    assert DECIDED not in {arm.name for arm in Plan([1], [0], [], {}).arms(training, labels, seed=0)}
    other = plan.arms(training, labels, seed=1)[2].rows.tolist()
    assert other != arms[RANDOM_TRIM].rows.tolist()


def test_the_split_keeps_class_shares_and_a_sample_of_each_class():
    labels = np.array([0] * 50 + [1] * 30 + [2])
    training, held_out = stratified_split(labels, 0.2, seed=3)
    assert np.bincount(labels[held_out], minlength=3).tolist() == [10, 6, 0]
    assert sorted([*training, *held_out]) == list(range(81))
    assert set(labels[stratified_split(labels, 0.99, seed=0)[0]]) == {0, 1, 2}


def test_the_head_is_the_minimum_of_the_penalised_loss():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(60, 4)), rng.integers(3, size=60)

    def objective(flat):
        weights = flat.reshape(3, 5)
        logits = features @ weights[:, :-1].T + weights[:, -1]
        loss = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(60), labels]
        return loss.mean() + 0.05 * np.sum(weights[:, :-1] ** 2)

    best = minimize(objective, np.zeros(15))
    head = fit_head(torch.tensor(features), torch.tensor(labels), 3, penalty=0.1)
    assert objective(head.numpy().ravel()) <= best.fun + 1e-6
    logits = head_logits(torch.tensor(features), head).numpy()
    np.testing.assert_allclose(logits, features @ head.numpy()[:, :-1].T + head.numpy()[:, -1], rtol=1e-6)


class Exported(nn.Module):
    """Batch norm as an export in eval mode has it: running statistics, whatever the mode."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.head = nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Linear(16, 3)

    def forward(self, x):
        norm = self.norm
        x = nn.functional.batch_norm(
            self.first(x), norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.1, 1e-5
        )
        return self.head(torch.relu(x))


def test_exported_graphs_train_with_batch_statistics():
    samples, task, model = random_samples(200, 6), ArrayTask(), Exported()
    samples.inputs[...] = 50 + 10 * samples.inputs
    samples = labelled(samples, np.arange(200), (samples.inputs[:, 0] > 50).astype(int))
    recipe = Recipe(epochs=20, learning_rate=1e-2, batch_size=32, reinitialise=True)
    train_network(model, task, samples, recipe, seed=0, device=torch.device("cpu"))
    assert model.norm.running_var.mean() > 100
    predicted = model(torch.tensor(np.array(samples.inputs))).argmax(dim=1).numpy()
    assert (predicted == samples.given_labels).mean() > 0.95


def test_reinitialising_forgets_and_keeps_the_scale():
    model = nn.Sequential(nn.Linear(100, 200), nn.BatchNorm1d(200), nn.ReLU(), nn.Linear(200, 5))
    for tensor in model.state_dict().values():
        tensor.fill_(3)
    torch.manual_seed(0)
    reinitialise(model)
    outputs = model.eval()(torch.randn(500, 100))
    assert 0.3 < outputs.std() < 4
    assert model[1].running_var.eq(1).all()
    assert model[1].weight.eq(1).all()
    assert model[0].bias.eq(0).all()


def test_decoded_inputs_are_kept_while_there_is_room(monkeypatch):
    monkeypatch.setattr("oga_core.retrain.inputs._CACHED_BYTES", 8 * 8 * 3 + 1)
    reads = []

    class Inputs(list):
        def __getitem__(self, i):
            reads.append(i)
            return Image.new("RGB", (8, 8))

    cached = CachedInputs(Inputs([0, 1]))
    for i in (0, 1, 0, 1):
        cached[i]
    assert reads == [0, 1, 1]


@pytest.mark.parametrize(("model_format", "says"), [("outputs", "Add 'features'"), ("pt2", "--depth all")])
def test_a_run_without_features_says_what_can_be_trained(tmp_path, model_format, says):
    run = RunFolder.create(tmp_path / "run")
    run.update(status="done", model_format=model_format)
    GradientSketch(given_labels=np.zeros(3, np.int64), losses=np.ones(3), sketch=np.ones((3, 2))).save(run.arrays)
    with pytest.raises(OgaError, match=says):
        Inputs(run, {"validation": None}, print).features()
