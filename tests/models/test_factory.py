"""Networks built by the owner's own code: named on the command line, run in the worker, never by the dashboard."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from here import without_workers
from safetensors.torch import save_file
from sklearn.linear_model import LogisticRegression
from torch import nn

from oga_app.background import jobs
from oga_core.errors import OgaError
from oga_core.models import ModelCard, load_model
from oga_core.models.factory import ModelFactory
from oga_core.pipeline.options import ScoreOptions
from oga_core.pipeline.score import score
from oga_core.retrain import verify
from oga_core.saliency.saliency import explain

CARD = {
    "modality": "tabular",
    "classes": ["a", "b"],
    "input": {"features": ["length", "width"], "mean": [0, 0], "std": [1, 1]},
}
CODE = """
from pathlib import Path
import torch
from layers import Gate
Path("ran").touch()

def network():
    return torch.nn.Sequential(torch.nn.Linear(2, 8), Gate(), torch.nn.Linear(8, 2))

def broken():
    raise ValueError("no such width")

def other():
    return "a network"
"""
LAYERS = """
import torch

class Gate(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.openness = torch.nn.Parameter(torch.ones(8))

    def forward(self, hidden):
        return torch.sigmoid(hidden) * self.openness
"""


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.openness = nn.Parameter(torch.ones(8))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The owner's working folder: two modules, weights, a card and data."""
    (tmp_path / "own_net.py").write_text(CODE)
    (tmp_path / "layers.py").write_text(LAYERS)
    torch.manual_seed(0)
    save_file(nn.Sequential(nn.Linear(2, 8), Gate(), nn.Linear(8, 2)).state_dict(), tmp_path / "net.safetensors")
    (tmp_path / "net.json").write_text(json.dumps(CARD))
    values = np.random.default_rng(0).normal(size=(60, 2))
    labels = np.where(values[:, 0] > 0, "a", "b")
    pd.DataFrame(values, columns=["length", "width"]).assign(label=labels).to_csv(tmp_path / "data.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scored(folder: Path):
    options = ScoreOptions(model_factory="own_net:network", map="none", parameters="all")
    return score(folder / "data.csv", folder / "net.safetensors", folder / "run", options)


def test_weights_of_a_network_of_ones_own_are_scored(folder: Path) -> None:
    run = scored(folder)
    assert run.info.gradient_coverage == 1.0
    assert len(run.table) == 60


def test_the_dashboard_does_not_run_it(folder: Path) -> None:
    with without_workers():
        run = scored(folder)
    with pytest.raises(OgaError, match="built by code of yours, own_net:network, which the dashboard does not run"):
        jobs.start(folder / "data.csv", folder / "net.safetensors", run.path, ScoreOptions(**run_options(run)))
    with pytest.raises(OgaError, match="built by code of its owner"):
        explain(run, [0])
    with pytest.raises(OgaError, match="built by code of its owner"):
        verify(run, depth="all")
    with without_workers():
        assert verify(run, seeds=1, trim_fraction=0.1)["depth"] == "head"


def run_options(run) -> dict:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in run.info.options.items()}


def test_naming_a_function_runs_nothing(folder: Path) -> None:
    factory = ModelFactory.named("own_net:network")
    assert factory == ModelFactory("own_net", "network", str(folder))
    assert not (folder / "ran").exists()
    assert ModelFactory.named("torch.nn:Identity").folder.endswith("site-packages")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own_net", r"'own_net' must be named as package\.module:function"),
        ("own_net:a.b", "must be named as package"),
        ("../net:network", "must be named as package"),
        ("nowhere:network", "There is no module 'nowhere' for the model factory"),
        ("sys:exit", "There is no module 'sys'"),
    ],
)
def test_names_that_lead_nowhere(folder: Path, name: str, message: str) -> None:
    with pytest.raises(OgaError, match=message):
        ModelFactory.named(name)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("broken", "own_net:broken failed: ValueError: no such width"),
        ("other", r"must return a torch\.nn\.Module, got str"),
        ("missing", "own_net:missing failed: AttributeError"),
    ],
)
def test_a_function_that_fails_is_named(folder: Path, function: str, message: str) -> None:
    with pytest.raises(OgaError, match=message):
        load_model(folder / "net.safetensors", factory=ModelFactory.named(f"own_net:{function}"))


def test_weights_of_another_network_and_other_models_are_refused(folder: Path) -> None:
    factory = ModelFactory.named("own_net:network")
    save_file({"0.weight": torch.zeros(8, 2)}, folder / "less.safetensors")
    card = ModelCard.from_json(json.dumps(CARD), "net.json")
    with pytest.raises(OgaError, match=r"less\.safetensors are of another network: 0\.bias, 1\.openness"):
        load_model(folder / "less.safetensors", card, factory=factory)
    skops.io.dump(LogisticRegression().fit(np.eye(2), [0, 1]), folder / "net.skops")
    with pytest.raises(OgaError, match=r"for plain weights, and net\.skops is not that. Leave out --model-factory"):
        load_model(folder / "net.skops", card, factory=factory)
