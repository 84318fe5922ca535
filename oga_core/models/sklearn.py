"""scikit-learn models saved with skops, rebuilt as linear layers of PyTorch with the same probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oga_core.errors import OgaError
from oga_core.models.architectures import ACTIVATIONS
from oga_core.models.archive import open_zip
from oga_core.models.card import ModelCard
from oga_core.models.loaded import LoadedModel
from oga_core.models.refusals import reason

# What is built beyond skops's own list of NumPy's and scikit-learn's harmless types: an MLP's state of training.
TRUSTED = (
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
)
_ACTIVATIONS = {"logistic": "sigmoid"}
_ACCEPTED = (
    "LogisticRegression, LogisticRegressionCV, SGDClassifier(loss='log_loss') and MLPClassifier, alone or after a "
    "StandardScaler or MinMaxScaler"
)


class Standardize(nn.Module):
    """A fitted StandardScaler: fixed numbers, not parameters."""

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: NDArray[Any] | float, scale: NDArray[Any] | float):
        super().__init__()
        self.register_buffer("mean", _tensor(mean))
        self.register_buffer("scale", _tensor(scale))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.scale


def load_skops(path: Path, card: ModelCard | None = None) -> LoadedModel:
    """Load a fitted linear classifier or multilayer perceptron; softmax of the module equals its `predict_proba`.

    Raises `OgaError` for types outside scikit-learn's own and for models without gradients (trees, neighbours).
    """
    model = _read(path)
    try:
        scaler, classifier = _steps(model)
        layers: list[nn.Module] = [] if scaler is None else [_standardize(scaler)]
        module = nn.Sequential(*layers, *_layers(classifier)).eval()
        return LoadedModel(module, card or _card(model, classifier, path), "skops")
    except OgaError:
        raise
    except Exception as error:  # attributes of any type and shape, where scikit-learn writes arrays
        raise OgaError(
            f"{path.name} is damaged: its attributes are not those of a fitted model ({reason(error)}). Save it again: "
            "skops.io.dump(model, path)."
        ) from None


def _read(path: Path) -> Any:
    import skops.io

    with open_zip(path):
        pass
    try:
        strange = sorted(set(skops.io.get_untrusted_types(file=path)) - set(TRUSTED))
        if not strange:
            return skops.io.load(path, trusted=list(TRUSTED))
    except Exception as error:  # a tampered schema makes any part of any constructor fail
        raise OgaError(
            f"{path.name} cannot be loaded: {reason(error)}. Save it again: skops.io.dump(model, path)."
        ) from None
    if all(name.startswith("sklearn.") for name in strange):
        raise _no_gradient(f"The model in {path.name} ({strange[0]})")
    raise OgaError(
        f"{path.name} holds types that are never loaded: {', '.join(strange[:4])}. Accepted: {_ACCEPTED}, without "
        "functions or classes of your own."
    )


def _no_gradient(what: str) -> OgaError:
    return OgaError(
        f"{what} has no gradient that could be analysed. Accepted: {_ACCEPTED}. For other models bring their outputs: "
        "np.savez('outputs.npz', features=features, logits=logits, labels=labels)."
    )


def _steps(model: Any) -> tuple[Any | None, Any]:
    """Take a pipeline apart into scaler and classifier."""
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    if not isinstance(model, Pipeline):
        return None, model
    *before, classifier = [step for _, step in model.steps if step not in (None, "passthrough")]
    if len(before) > 1 or not all(type(step) in (StandardScaler, MinMaxScaler) for step in before):
        names = ", ".join(type(step).__name__ for step in before)
        raise OgaError(
            f"The pipeline prepares the data with {names}; OGA can follow one StandardScaler or MinMaxScaler only."
        )
    return (before[0] if before else None), classifier


def _standardize(scaler: Any) -> Standardize:
    if hasattr(scaler, "data_min_"):  # a MinMaxScaler: x * scale_ + min_
        if scaler.clip:
            raise OgaError("The MinMaxScaler cuts values off (clip=True), which has no gradient. Fit it without clip.")
        return Standardize(-scaler.min_ / scaler.scale_, 1 / scaler.scale_)
    return Standardize(scaler.mean_ if scaler.with_mean else 0.0, scaler.scale_ if scaler.with_std else 1.0)


def _layers(classifier: Any) -> list[nn.Module]:
    from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, SGDClassifier
    from sklearn.neural_network import MLPClassifier

    name = type(classifier).__name__
    if type(classifier) not in (LogisticRegression, LogisticRegressionCV, SGDClassifier, MLPClassifier):
        raise _no_gradient(f"A {name}")
    if isinstance(classifier, SGDClassifier) and classifier.loss != "log_loss":
        raise OgaError(f"The SGDClassifier has loss={classifier.loss!r}, which gives no probabilities; use 'log_loss'.")
    try:
        if isinstance(classifier, MLPClassifier):
            return _perceptron(classifier)
        return _linear_classifier(classifier, isinstance(classifier, LogisticRegression))
    except AttributeError as error:
        raise OgaError(f"The {name} is not fitted ({error}). Fit it before saving it.") from None


def _linear_classifier(classifier: Any, is_logistic: bool) -> list[nn.Module]:
    weight = classifier.coef_
    bias = np.broadcast_to(classifier.intercept_, len(classifier.coef_))
    if len(classifier.classes_) == 2:
        return [_linear(*_two_logits(weight, bias))]
    if is_logistic and classifier.solver != "liblinear":
        return [_linear(weight, bias)]
    # One against the rest: probabilities are normalised sigmoids, and softmax(log sigmoid) is just that.
    return [_linear(weight, bias), nn.LogSigmoid()]


def _perceptron(classifier: Any) -> list[nn.Module]:
    if classifier._label_binarizer.y_type_ not in ("binary", "multiclass"):
        raise OgaError("The MLPClassifier predicts several labels a sample; OGA needs one class a sample.")
    activation = ACTIVATIONS[_ACTIVATIONS.get(classifier.activation, classifier.activation)]
    layers: list[nn.Module] = []
    *hidden, (last_weight, last_bias) = [
        (weight.T, bias) for weight, bias in zip(classifier.coefs_, classifier.intercepts_, strict=True)
    ]
    for weight, bias in hidden:
        layers += [_linear(weight, bias), activation()]
    if classifier.out_activation_ == "logistic":
        last_weight, last_bias = _two_logits(last_weight, last_bias)
    return [*layers, _linear(last_weight, last_bias)]


def _two_logits(weight: NDArray[Any], bias: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Turn one logit z into the logits (0, z), whose softmax is (1 - sigmoid(z), sigmoid(z))."""
    return np.vstack([np.zeros_like(weight), weight]), np.concatenate([np.zeros_like(bias), bias])


def _linear(weight: NDArray[Any], bias: NDArray[Any]) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": _tensor(weight), "bias": _tensor(bias)})
    return layer


def _tensor(values: NDArray[Any] | float) -> Tensor:
    return torch.tensor(np.asarray(values, dtype=np.float32))


def _card(model: Any, classifier: Any, path: Path) -> ModelCard:
    names = getattr(model, "feature_names_in_", getattr(classifier, "feature_names_in_", None))
    if names is None:
        raise OgaError(
            f"{path.name} was fitted without column names, so OGA cannot tell which columns it takes. Fit it on a "
            f"DataFrame, or write a model card {path.stem}.json beside it: "
            '{"modality": "tabular", "classes": [...], "input": {"features": ["…", "…"]}}'
        )
    return ModelCard("tabular", tuple(map(str, classifier.classes_)), {"features": [str(name) for name in names]})
