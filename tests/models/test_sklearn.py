"""scikit-learn models through skops: the same probabilities from PyTorch."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, RidgeClassifier, SGDClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from oga_core.errors import OgaError
from oga_core.models import ModelCard, load_model

COLUMNS = list("abcdef")


def data(n_classes: int) -> tuple[pd.DataFrame, np.ndarray]:
    rows, labels = make_classification(200, 6, n_informative=4, n_classes=n_classes, random_state=0)
    return pd.DataFrame(2 * rows + 1, columns=COLUMNS), np.array(["p", "q", "r", "s"])[labels]


def saved(model: Any, n_classes: int, path: Path) -> tuple[Any, pd.DataFrame]:
    rows, labels = data(n_classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(rows, labels)
    skops.io.dump(model, path)
    return model, rows


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(),
        LogisticRegression(fit_intercept=False),
        SGDClassifier(loss="log_loss", alpha=0.1, random_state=0),
        MLPClassifier((5, 4), max_iter=20, random_state=0),
        MLPClassifier((5,), activation="logistic", solver="lbfgs", max_iter=20, random_state=0),
        MLPClassifier((5,), activation="tanh", solver="sgd", max_iter=20, random_state=0),
        make_pipeline(StandardScaler(), LogisticRegression()),
        make_pipeline(StandardScaler(with_mean=False), MLPClassifier((3,), max_iter=20, random_state=0)),
        make_pipeline(MinMaxScaler((-1, 2)), LogisticRegression()),
        LogisticRegressionCV(cv=3),
        make_pipeline("passthrough", LogisticRegression()),
    ],
    ids=str,
)
def test_probabilities_are_those_of_scikit_learn(model: Any, n_classes: int, tmp_path: Path) -> None:
    model, rows = saved(model, n_classes, tmp_path / "model.skops")
    loaded = load_model(tmp_path / "model.skops")
    logits = loaded.module(torch.tensor(rows.to_numpy(), dtype=torch.float32))
    np.testing.assert_allclose(logits.softmax(dim=1).detach().numpy(), model.predict_proba(rows), atol=2e-6)
    assert loaded.format == "skops"
    assert loaded.card == ModelCard("tabular", tuple(model.classes_), {"features": COLUMNS})


def test_one_against_the_rest_is_kept(tmp_path: Path) -> None:
    """Normalised sigmoids, not a softmax of the scores."""
    model, rows = saved(SGDClassifier(loss="log_loss", alpha=0.1, random_state=0), 4, tmp_path / "model.skops")
    module = load_model(tmp_path / "model.skops").module
    assert isinstance(module[-1], torch.nn.LogSigmoid)
    softmax = torch.softmax(torch.tensor(model.decision_function(rows)), dim=1).numpy()
    assert not np.allclose(softmax, model.predict_proba(rows), atol=1e-3)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (RidgeClassifier(), "A RidgeClassifier has no gradient"),
        (SGDClassifier(loss="hinge"), "loss='hinge'"),
        (make_pipeline(PCA(2), LogisticRegression()), "prepares the data with PCA"),
        (make_pipeline(StandardScaler(), StandardScaler(), LogisticRegression()), "StandardScaler, StandardScaler"),
    ],
)
def test_models_that_cannot_be_followed_are_named(model: Any, message: str, tmp_path: Path) -> None:
    saved(model, 2, tmp_path / "model.skops")
    with pytest.raises(OgaError, match=message):
        load_model(tmp_path / "model.skops")


def test_unfitted_model_is_refused(tmp_path: Path) -> None:
    skops.io.dump(LogisticRegression(), tmp_path / "model.skops")
    with pytest.raises(OgaError, match="LogisticRegression is not fitted"):
        load_model(tmp_path / "model.skops")


def test_model_without_column_names_needs_a_card(tmp_path: Path) -> None:
    rows, labels = data(2)
    skops.io.dump(LogisticRegression().fit(rows.to_numpy(), labels), tmp_path / "model.skops")
    with pytest.raises(OgaError, match="fitted without column names"):
        load_model(tmp_path / "model.skops")
    card = ModelCard("tabular", ("p", "q"), {"features": COLUMNS})
    assert load_model(tmp_path / "model.skops", card).card == card
