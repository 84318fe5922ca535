"""Label issues from plain arrays, as NumPy, torch, pandas or lists, with names or indices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import oga_core as oga
from oga_core.errors import OgaError

N, K = 300, 3


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    """Three Gaussians, a tenth of the labels wrong, and the model that was fitted to them."""
    random = np.random.default_rng(0)
    truth = random.integers(K, size=N)
    features = random.normal(size=(N, 4)) + 3 * np.eye(K, 4)[truth]
    labels = np.where(random.random(N) < 0.1, (truth + 1) % K, truth)
    model = LogisticRegression().fit(features, labels)
    return {"labels": labels, "truth": truth, "features": features, "logits": model.decision_function(features)}


def test_wrong_labels_come_first_with_the_right_suggestion(arrays: dict[str, np.ndarray]) -> None:
    issues = oga.find_label_issues(arrays["labels"], logits=arrays["logits"], features=arrays["features"])
    wrong = arrays["labels"] != arrays["truth"]
    worst = issues.sort_values("score", ascending=False).head(int(wrong.sum()))
    assert wrong[worst.index].mean() > 0.8
    assert (worst["suggested_label"].to_numpy() == arrays["truth"][worst.index]).mean() > 0.8
    assert issues["probability"].between(0, 1).all()
    assert issues["probability"][wrong].mean() > 0.7 > 0.3 > issues["probability"][~wrong].mean()
    assert abs(issues["flagged"].mean() - issues.attrs["noise_rate"]["rate"]) < 0.01


@pytest.mark.parametrize("kind", ["torch", "pandas", "list", "names", "probabilities"])
def test_every_kind_of_array_gives_the_same(arrays: dict[str, np.ndarray], kind: str) -> None:
    labels, logits, features = arrays["labels"], arrays["logits"], arrays["features"]
    expected = oga.find_label_issues(labels, logits=logits, features=features)
    names = np.array(["a", "b", "c"])
    given: dict[str, tuple[Any, dict[str, Any]]] = {
        "torch": (torch.tensor(labels), {"logits": torch.tensor(logits), "features": torch.tensor(features)}),
        "pandas": (pd.Series(labels, index=range(5, N + 5)), {"logits": pd.DataFrame(logits), "features": features}),
        "list": (labels.tolist(), {"logits": logits.tolist(), "features": features.tolist()}),
        "names": (names[labels], {"logits": logits, "features": features}),
        "probabilities": (
            labels,
            {"probabilities": torch.softmax(torch.tensor(logits), 1), "features": features},
        ),
    }
    issues = oga.find_label_issues(given[kind][0], **given[kind][1])
    np.testing.assert_allclose(issues["score"], expected["score"], atol=1e-3)
    if kind == "pandas":
        assert issues.index.tolist() == list(range(5, N + 5))
    if kind == "names":
        assert issues["given_label"].tolist() == names[labels].tolist()


def test_features_can_be_left_out(arrays: dict[str, np.ndarray]) -> None:
    issues = oga.find_label_issues(arrays["labels"], logits=arrays["logits"], score="loss")
    assert len(issues) == N


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"logits": None}, "Give either logits or probabilities"),
        ({"probabilities": np.ones((N, K))}, "Give either logits or probabilities"),
        ({"features": np.ones((3, 2))}, "features has 3 rows where there are 300 samples"),
        ({"labels": [0, 1]}, "labels must be (300,), one a row of the logits. Got shape (2,)"),
        ({"labels": np.full(N, 7)}, "labels has 7 in row 0, which is none of the 3 classes"),
        ({"logits": np.full((N, K), np.nan)}, "logits has values that are not finite, the first in row 0"),
        ({"classes": ["a"]}, "classes has 1 names where the logits have 3 columns"),
        ({"score": "los"}, "Unknown score 'los'"),
        ({"logits": np.ones(N)}, "logits must be numbers (n_samples, n_logits). Got shape (300,)"),
    ],
)
def test_errors_name_the_argument(arrays: dict[str, np.ndarray], change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {name: arrays[name] for name in ("labels", "logits", "features")} | change
    with pytest.raises(OgaError, match="".join(f"\\{c}" if c in "().," else c for c in message)):
        oga.find_label_issues(arguments.pop("labels"), **arguments)
