from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from oga_core.errors import OgaError
from oga_core.models.card import ModelCard
from oga_core.pipeline.checks import check_labels, check_memorised, check_model, check_views
from oga_core.samples import SampleSet, Source
from oga_core.tasks import task_for

NAMES = ("a", "b", "c")
TASK = task_for(ModelCard("tabular", NAMES, {"features": ["x", "y"]}))
ROWS = np.arange(6)


def samples() -> SampleSet:
    values = np.random.default_rng(0).normal(size=(6, 2))
    inputs = [{"x": str(x), "y": str(y)} for x, y in values]
    ids = np.array([str(i) for i in range(6)], dtype=object)
    labels = np.arange(6) % 3
    return SampleSet(ids, inputs, labels, NAMES, "tabular", inputs, ROWS, Source(Path("x.csv"), "csv"), "f")


def levels(model: nn.Module) -> dict[str, str]:
    return {check.name: check.level for check in check_model(model, TASK, samples(), ROWS)}


def test_a_sound_model_passes_every_check():
    assert set(levels(nn.Linear(2, 3)).values()) == {"ok"}


class Wrong(nn.Module):
    def __init__(self, kind: str):
        super().__init__()
        self.kind, self.layer, self.norm = kind, nn.Linear(2, 3), nn.BatchNorm1d(2, track_running_stats=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.kind == "independent":
            return self.layer(self.norm(x)) if len(x) > 1 else self.layer(x)
        if self.kind == "repeatable":
            return self.layer(x) + torch.rand(1)
        if self.kind == "finite":
            return self.layer(x) / 0.0
        if self.kind == "shape":
            return self.layer(x)[:, :, None]
        return torch.cat([self.layer(x), self.layer(x)], dim=1)


@pytest.mark.parametrize("kind", ["independent", "repeatable", "finite", "shape", "classes"])
def test_each_fault_is_found_by_its_check(kind):
    torch.manual_seed(0)
    assert levels(Wrong(kind))[kind] == "failure"


def test_a_model_of_numbers_without_its_loss_is_told_how_to_name_it():
    numbers = replace(samples(), class_names=("1.5", "2", "30"))
    checks = {check.name: check for check in check_model(nn.Linear(2, 1), TASK, numbers, ROWS)}
    assert checks["classes"].level == "failure"
    assert '"loss": "mean_squared_error"' in checks["classes"].message


def test_a_model_without_trainable_parameters_is_refused():
    assert levels(nn.Linear(2, 3).requires_grad_(False))["parameters"] == "failure"


class Failing(nn.Module):
    def __init__(self, error: Exception):
        super().__init__()
        self.layer, self.error = nn.Linear(2, 3), error

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise self.error


@pytest.mark.parametrize("kind", [RuntimeError, IndexError, ValueError, TypeError, KeyError])
def test_a_model_that_fails_on_the_inputs_says_their_shape_and_why(kind):
    message = r"fails on these inputs \(.*\(6, 2\)\): .*out of range.*\. Check image_size, channels, max_length"
    with pytest.raises(OgaError, match=message):
        check_model(Failing(kind("index out of range")), TASK, samples(), ROWS)


def test_a_linear_layer_for_more_features_than_the_data_has_is_explained():
    with pytest.raises(OgaError, match=r"mat1 and mat2 shapes cannot be multiplied .*features in the model card"):
        check_model(nn.Linear(3, 3), TASK, samples(), ROWS)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory")])
def test_a_lack_of_memory_is_not_taken_for_a_misfit(error):
    with pytest.raises(MemoryError):
        check_model(Failing(error), TASK, samples(), ROWS)


def test_an_error_that_is_explained_already_stays_as_it_is():
    with pytest.raises(OgaError, match=r"^The model answers with str\.$"):
        check_model(Failing(OgaError("The model answers with str.")), TASK, samples(), ROWS)


def test_reading_the_samples_is_a_stage_before_the_model_runs():
    stages: list[str] = []

    class Asked(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert stages == ["read samples", "check model"]
            return super().forward(x)

    class Read(type(TASK)):
        def batch(self, samples, rows):
            assert stages == ["read samples"]
            return super().batch(samples, rows)

    task = Read(TASK.features, TASK.mean, TASK.std, TASK.categories)
    check_model(Asked(2, 3), task, samples(), ROWS, lambda message: stages.append(message["stage"]))
    assert stages == ["read samples", "check model"]


def confusion(accuracy: float, order: list[int], n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a model whose logit j stands for class order[j]."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, n)
    seen = np.where(random.random(n) < accuracy, labels, random.integers(0, 3, n))
    return np.eye(3, dtype=np.float32)[np.argsort(order)[seen]], labels


def test_another_label_order_is_found_with_its_mapping():
    (check,) = check_labels(*confusion(0.6, [2, 0, 1]), NAMES)
    assert check.level == "failure"
    assert check.detail["classes"] == ["c", "a", "b"]


PHOTOGRAPHS = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
AS_PUBLISHED = ["ship", "cat", "truck", "dog", "airplane", "bird", "frog", "automobile", "horse", "deer"]


def permuted(names: list[str], order: list[int], *, accuracy: float = 0.45, noise: float = 0.17, n: int = 12_000):
    """Logits of a weak model whose logit j stands for names[order[j]], and noisy labels numbered as in `names`."""
    random = np.random.default_rng(1)
    true = random.integers(0, len(names), n)
    given = np.where(random.random(n) < noise, random.integers(0, len(names), n), true)
    seen = np.where(random.random(n) < accuracy, true, random.integers(0, len(names), n))
    logits = random.normal(size=(n, len(names))).astype(np.float32)
    logits[np.arange(n), np.argsort(order)[seen]] += 20
    return logits, given


@pytest.mark.parametrize(
    ("names", "order"),
    [
        pytest.param(PHOTOGRAPHS, [*range(1, 10), 0], id="cyclic"),
        pytest.param(PHOTOGRAPHS, np.random.default_rng(3).permutation(10).tolist(), id="random"),
        pytest.param(AS_PUBLISHED, [AS_PUBLISHED.index(name) for name in sorted(AS_PUBLISHED)], id="alphabetical"),
        pytest.param(["no", "yes"], [1, 0], id="binary swap"),
    ],
)
def test_every_kind_of_permuted_labels_is_refused_with_the_exact_mapping(names, order):
    (check,) = check_labels(*permuted(names, order), names)
    assert (check.name, check.level) == ("label_order", "failure")
    assert check.detail["classes"] == [names[i] for i in order]
    corrected = check_labels(*permuted(names, list(range(len(names)))), names)
    assert corrected[0].level == "ok"
    assert corrected[0].detail["accuracy"] == pytest.approx(check.detail["best_accuracy"], abs=1e-9)


@pytest.mark.parametrize("accuracy", [0.1, 0.4, 0.9])
def test_the_right_order_passes_at_any_accuracy(accuracy):
    checks = check_labels(*confusion(accuracy, [0, 1, 2]), NAMES)
    assert checks[0].level == "ok"


def test_two_swapped_classes_of_many_are_a_warning():
    labels = np.arange(300) % 30
    seen = labels.copy()
    seen[labels == 3], seen[labels == 4] = 4, 3
    checks = check_labels(np.eye(30, dtype=np.float32)[seen], labels, [str(i) for i in range(30)])
    warning = next(check for check in checks if check.name == "swapped_classes")
    assert warning.detail["classes"] == ["3", "4"]


def test_a_memorised_model_is_a_warning():
    assert check_memorised(0.999)[0].level == "warning"
    assert check_memorised(0.9) == []


@pytest.mark.parametrize(("moved", "usable"), [((), True), ((1,), False)])
def test_views_that_look_like_other_classes_are_not_used(moved, usable):
    labels = np.arange(90) % 3
    seen = np.where(np.isin(labels, moved), 2, labels)
    logits = 4 * np.eye(3, dtype=np.float32)
    assert check_views(logits[labels], [logits[labels], logits[seen]], labels).detail["usable"] is usable


def test_views_on_which_a_memorised_model_errs_are_used():
    random = np.random.default_rng(0)
    true = np.arange(900) % 3
    labels = np.where(random.random(900) < 0.4, random.integers(0, 3, 900), true)
    logits = 4 * np.eye(3, dtype=np.float32)
    assert check_views(logits[labels], [logits[true]], labels).detail["usable"]
