"""A run's label issues in cleanlab's columns, beside the real Datalab."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader
from trainings import language_model, sums
from transformers import default_data_collator

import oga_core as oga

N, N_CLASSES, N_WRONG = 150, 3, 15
NAMES = ["cat", "dog", "eel"]


def data() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    truth = torch.arange(N) % N_CLASSES
    labels = torch.where(torch.arange(N) < N_WRONG, (truth + 1) % N_CLASSES, truth)
    return torch.randn(N, 6) + 4 * F.one_hot(truth, 6), labels


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    torch.manual_seed(0)
    x, y = data()
    model = nn.Linear(6, N_CLASSES)
    optimizer = torch.optim.Adam(model.parameters(), 0.1)
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model


@pytest.fixture
def run(trained: nn.Module, tmp_path: Path) -> oga.Run:
    return oga.score(trained, data(), tmp_path / "run", classes=NAMES, scores=["loss"], map="none")


def test_the_flagged_are_issues_and_a_lower_score_is_worse(run: oga.Run) -> None:
    issues = run.to_datalab_issues(0.1)
    assert issues["is_label_issue"].sum() == N_WRONG
    assert issues["is_label_issue"][:N_WRONG].mean() > 0.9
    assert issues["label_score"].between(0, 1).all()
    order = np.argsort(issues["label_score"].to_numpy())
    assert (np.diff(run.table["score_loss"].to_numpy()[order]) <= 0).all()
    assert (
        issues["label_score"][issues["is_label_issue"]].max() < issues["label_score"][~issues["is_label_issue"]].min()
    )


def test_a_decision_stands_over_the_threshold(run: oga.Run) -> None:
    run.decide("0", "keep")
    run.decide("100", relabel="dog")
    run.decide("1", "unsure")
    issues = run.to_datalab_issues(0.1)["is_label_issue"]
    assert not issues[0]
    assert issues[100]
    assert issues[1]


def test_columns_types_and_labels_are_those_of_datalab(run: oga.Run, trained: nn.Module) -> None:
    cleanlab = pytest.importorskip("cleanlab", reason="cleanlab is not installed")
    pytest.importorskip("datasets", reason="Datalab needs Hugging Face datasets, which is not installed")
    x, y = data()
    with torch.no_grad():
        probabilities = trained(x).softmax(1).double().numpy()
    lab = cleanlab.Datalab({"label": [NAMES[label] for label in y]}, label_name="label", verbosity=0)
    # In this process: a pool forked from a process with threads, as PyTorch's, may end that process.
    alone = {"clean_learning_kwargs": {"find_label_issues_kwargs": {"n_jobs": 1}}}
    lab.find_issues(pred_probs=probabilities, issue_types={"label": alone})
    theirs = lab.get_issues("label")
    ours = run.to_datalab_issues(0.1)
    assert ours.columns.tolist() == theirs.columns.tolist()
    assert ours.index.equals(theirs.index)
    assert [column.dtype.kind for _, column in ours.items()] == [column.dtype.kind for _, column in theirs.items()]
    assert ours["given_label"].tolist() == theirs["given_label"].tolist()
    assert ours["predicted_label"].tolist() == theirs["predicted_label"].tolist()
    assert (ours["is_label_issue"] == theirs["is_label_issue"]).mean() > 0.95


def test_a_run_without_classes_says_what_to_use(tmp_path: Path) -> None:
    rows = DataLoader(sums(), collate_fn=default_data_collator)
    run = oga.score(language_model(), rows, tmp_path / "run", scores=["loss"], map="none")
    with pytest.raises(oga.OgaError, match=r"has no class labels\. Use table and flagged\(\)"):
        run.to_datalab_issues()
