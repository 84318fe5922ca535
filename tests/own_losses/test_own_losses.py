"""Losses of one's own: packaged with the model, read without running code, scored from a file and from memory."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from here import score_here
from sklearn.metrics import average_precision_score
from torch import Tensor, nn

import oga_core as oga
from oga_core import package_model
from oga_core.errors import OgaError
from oga_core.models import load_model
from oga_core.models.card import ModelCard
from oga_core.pipeline.options import ScoreOptions
from oga_core.runs.scored import ScoredRun

N, COLUMNS = 240, ["a", "b", "c", "d"]


def focal(outputs: Tensor, target: Tensor) -> Tensor:
    chance = outputs.log_softmax(1).gather(1, target[:, None])[:, 0]
    return -((1 - chance.exp()) ** 2 * chance).mean()


def quantile(outputs: Tensor, target: Tensor) -> Tensor:
    error = target - outputs[:, 0]
    return torch.maximum(0.7 * error, -0.3 * error).mean()


class Distance(nn.Module):
    """One that has weights, which are not the model's."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([1.0, 2.0]))

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        return ((outputs - target) * self.scale).square()


class Case:
    """A table, a tenth of whose labels are wrong, a loss, and the network that was trained with it."""

    def __init__(self, loss: Callable[[Tensor, Tensor], Tensor], target: Tensor, outputs: int, columns: list[str]):
        rng = np.random.default_rng(0)
        self.loss, self.columns = loss, columns
        self.wrong = rng.random(N) < 0.1
        self.given = target.clone()
        self.given[self.wrong] = target.roll(7, 0)[self.wrong]
        self.wrong &= (self.given != target).reshape(N, -1).any(1).numpy()
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 24), nn.ReLU(), nn.Linear(24, outputs))
        optimiser = torch.optim.Adam(self.model.parameters(), lr=0.02)
        for _ in range(80):
            optimiser.zero_grad()
            loss(self.model(X), self.given).mean().backward()
            optimiser.step()

    def files(self, folder: Path) -> tuple[Path, Path]:
        table = pd.DataFrame(X.numpy(), columns=COLUMNS)
        labels = self.given.reshape(N, -1).numpy()
        for position, name in enumerate(self.columns):
            table[name] = labels[:, position]
        table.to_csv(folder / "rows.csv", index=False)
        classes = ["0", "1", "2"] if self.loss is focal else []
        options = {"modality": "tabular", "input": {"features": COLUMNS}, "classes": classes, "loss": self.loss}
        package_model(self.model, X[:4], folder / "model.pt2", target=self.given[:4], **options)
        return folder / "rows.csv", folder / "model.pt2"

    def expected(self) -> np.ndarray:
        """The losses of all samples, each alone."""
        with torch.no_grad():
            outputs = self.model(X)
            return np.array([float(self.loss(outputs[i : i + 1], self.given[i : i + 1]).mean()) for i in range(N)])


X = torch.randn(N, 4, generator=torch.Generator().manual_seed(1))
CASES = {
    "class": lambda: Case(focal, (X[:, 0] > 0.4).long() + (X[:, 1] > 0).long(), 3, ["y"]),
    "number": lambda: Case(quantile, X[:, 0] * 2 + X[:, 1].sin(), 1, ["y"]),
    "vector": lambda: Case(Distance(), torch.stack([X[:, 0] + X[:, 1], X[:, 2] * 2], 1), 2, ["y", "z"]),
}


@pytest.mark.parametrize("kind", CASES)
def test_a_file_and_a_live_model_give_the_scores_of_the_loss(kind: str, tmp_path: Path) -> None:
    case = CASES[kind]()
    data, model = case.files(tmp_path)
    options = ScoreOptions(label_column=",".join(case.columns), map="none")
    run = score_here(data, model, tmp_path / "run", options)
    assert run.info.target == kind
    assert run.info.loss["name"] == "own"
    assert run.info.gradient_check_error is not None
    assert run.info.gradient_check_error < 1e-4
    table = run.table
    np.testing.assert_allclose(table["score_loss"], case.expected(), rtol=1e-4, atol=1e-6)
    sketch = run.gradient_sketch()
    assert sketch.features is not None
    norms = [torch.autograd.grad(_alone(case, i), case.model[2].weight)[0].norm() for i in range(5)]
    np.testing.assert_allclose(table["score_l2_norm"][:5], torch.stack(norms), rtol=1e-3, atol=1e-6)
    names = set(ScoredRun(run.path).scores)
    assert {"oga", "isolation_forest", "l1_norm", "l2_norm", "loss", "self_datainf"} <= names
    assert not {"margin", "entropy", "self_hessian", "out_of_fold", "absolute_residual"} & names
    assert ScoredRun(run.path).default_score == "oga"
    assert average_precision_score(case.wrong, table["score_oga"]) > 0.6
    assert table["given_label_probability"].isna().all(), "nothing is made up"
    assert ("wrong_label_probability" in table) == (kind == "number")
    live = oga.score(case.model, (X.numpy(), case.given.numpy()), tmp_path / "live", loss=case.loss, map="none")
    assert (live.info.target, live.info.loss["name"]) == (kind, "own")
    same = ("score_loss", "score_l2_norm") if kind == "number" else ("score_loss", "score_l2_norm", "score_oga")
    for score in same:  # of numbers, `oga` asks a table's columns too, which are not known of a live model
        np.testing.assert_allclose(live.table[score], table[score], rtol=2e-2, atol=1e-4)


def _alone(case: Case, i: int) -> Tensor:
    return case.loss(case.model(X[i : i + 1]), case.given[i : i + 1]).mean()


def test_a_vector_is_kept_or_removed_and_the_table_goes_home(tmp_path: Path) -> None:
    from export_runs import export_here

    case = CASES["vector"]()
    data, model = case.files(tmp_path)
    run = score_here(data, model, tmp_path / "run", ScoreOptions(label_column="y,z", map="none", scores=("loss",)))
    opened = oga.open_run(run.path)
    with pytest.raises(OgaError, match="keep, remove, unsure"):
        opened.decide("3", relabel="1 | 2")
    opened.decide(str(run.table["sample_id"][3]), "remove")
    lines = data.read_text().splitlines()
    assert export_here(run, "fixed", tmp_path / "fixed").read_text().splitlines() == lines[:4] + lines[5:]


def test_scores_of_classes_say_that_they_do_not_apply(tmp_path: Path) -> None:
    data, model = CASES["class"]().files(tmp_path)
    with pytest.raises(OgaError, match=r"'margin' needs logits of classes"):
        score_here(data, model, tmp_path / "run", ScoreOptions(label_column="y", map="none", scores=("margin",)))


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda outputs, target: torch.zeros(3), r"loss returns \(3,\) for one sample"),
        (lambda outputs, target: (target * 2.0).mean(), "does not depend on the model's outputs"),
        (lambda outputs, target: outputs.mean() if outputs.sum() > 0 else target.mean(), "cannot be exported"),
        (3, "loss is 3. Give a name, torch's own loss, or a function"),
        ("own", "must be given as a function"),
    ],
)
def test_what_is_no_loss_is_refused(loss: object, message: str, tmp_path: Path) -> None:
    options = {"modality": "tabular", "input": {"features": COLUMNS}}
    with pytest.raises(OgaError, match=message):
        package_model(nn.Linear(4, 1), X[:4], tmp_path / "model.pt2", loss=loss, **options)  # type: ignore[arg-type]


def test_losses_with_a_name_keep_it_and_a_card_cannot_name_what_is_not_there(tmp_path: Path) -> None:
    options = {"modality": "tabular", "input": {"features": COLUMNS}}
    path = package_model(nn.Linear(4, 1), X[:4], tmp_path / "model.pt2", loss=F.l1_loss, **options)
    assert load_model(path).card.loss == {"name": "mean_absolute_error"}
    card = ModelCard("tabular", (), options["input"], loss={"name": "own", "target": "number"})  # type: ignore[arg-type]
    with pytest.raises(OgaError, match="names a loss of one's own, and"):
        load_model(path, card)


@pytest.mark.parametrize(("entry", "message"), [("values", "values of the loss"), ("norms", "gradients of the loss")])
def test_a_loss_that_gives_something_else_than_when_it_was_packaged_is_refused(entry, message, tmp_path: Path) -> None:
    _, model = CASES["number"]().files(tmp_path)
    load_model(model)
    changed = tmp_path / "changed.pt2"
    with zipfile.ZipFile(model) as before, zipfile.ZipFile(changed, "w") as after:
        for item in before.infolist():
            content = before.read(item)
            if item.filename.endswith("loss_gradients.json"):
                record = json.loads(content)
                content = json.dumps({**record, entry: [value * 1.01 for value in record[entry]]}).encode()
            after.writestr(item, content)
    with pytest.raises(OgaError, match=message):
        load_model(changed)
