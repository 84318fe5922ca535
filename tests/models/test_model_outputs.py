"""Models with several outputs: which one the loss takes is said, and the model card can name another."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import oga_core
from oga_core.errors import OgaError
from oga_core.live.dataset import LiveData
from oga_core.live.task import LiveTask
from oga_core.models import load_model
from oga_core.models.packaging.logits import logits_of
from oga_core.models.plain import load_plain_weights
from oga_core.pipeline import job
from oga_core.pipeline.options import ScoreOptions
from oga_core.pipeline.request import PassRequest
from oga_core.pipeline.trial import taken_output
from oga_core.previews import recognition, trial

CLASSES = ["a", "b", "c"]
pytestmark = pytest.mark.filterwarnings("ignore:The loss does not reach")  # the other heads


class TwoHeads(nn.Module):
    """Embeddings and logits of two heads, as a tuple or under names."""

    def __init__(self, *, named: bool) -> None:
        super().__init__()
        self.body, self.coarse, self.fine = nn.Linear(4, 5), nn.Linear(5, 3), nn.Linear(5, 3)
        self.named = named

    def forward(self, x: Tensor) -> Any:
        hidden = self.body(x).relu()
        if self.named:
            return {"embedding": hidden, "coarse": self.coarse(hidden), "fine": self.fine(hidden)}
        return hidden, self.coarse(hidden), self.fine(hidden)


def packaged(folder: Path, named: bool, output: Any) -> tuple[Path, TwoHeads]:
    torch.manual_seed(0)
    model = TwoHeads(named=named).eval()
    prepared = {"features": list("wxyz")}
    example = torch.randn(2, 4)
    path = folder / "model.pt2"
    return oga_core.package_model(
        model, example, path, classes=CLASSES, modality="tabular", input=prepared, output=output
    ), model


@pytest.mark.parametrize(("named", "output", "other"), [(False, 2, 1), (True, "fine", "coarse")])
def test_the_card_names_the_output_and_a_card_beside_another(named, output, other, tmp_path):
    path, model = packaged(tmp_path, named, output)
    x = torch.randn(3, 4)
    hidden = model.body(x).relu()
    loaded = load_model(path)
    assert torch.equal(loaded.module(x), model.fine(hidden))
    assert loaded.card.output == output
    [note] = loaded.notes[:1]
    assert note.startswith("Of the model's 3 outputs (")
    assert ("the one called fine is taken" if named else "the one at position 2, counted from 0, is taken") in note
    recognised = recognition.run({"path": str(path)}, lambda message: None)  # before anything is loaded
    assert recognised["about"] == f"packaged model: tabular, 3 classes. {note}"
    elsewhere = load_model(path, replace(loaded.card, output=other))
    assert torch.equal(elsewhere.module(x), model.coarse(hidden))


def test_the_rule_takes_the_first_of_the_right_shape_and_says_so(tmp_path):
    with pytest.raises(OgaError, match="5 logits, but 3 classes are named"):
        packaged(tmp_path, named=False, output=None)
    with pytest.raises(OgaError, match=r"'output' in the model card is 'last', .* 0 \(any, 5\), 1 \(any, 3\)"):
        packaged(tmp_path, named=False, output="last")


def test_a_trial_and_a_run_say_which_was_taken(tmp_path):
    path, _ = packaged(tmp_path, named=True, output="fine")
    rng = np.random.default_rng(0)
    rows = [",".join([*(f"{v:.3f}" for v in rng.normal(size=4)), CLASSES[i % 3]]) for i in range(30)]
    data = tmp_path / "data.csv"
    data.write_text("\n".join(["w,x,y,z,label", *rows]))
    request = PassRequest.of(data, path, tmp_path, ScoreOptions(device="cpu", scores=("loss",), label_column="label"))
    for run in (trial.run, job.run):
        said = run(asdict(request), lambda message: None)
        assert any("the one called fine is taken" in note for note in said["notes"])


def test_a_model_in_memory_has_the_same_rule():
    x, y = torch.randn(4, 4), torch.zeros(4, dtype=torch.long)
    model = TwoHeads(named=True)
    task = LiveTask.of(LiveData.of((x, y)), nn.functional.cross_entropy)
    [note] = task.notes(model)
    assert "the one called embedding is taken" in note
    assert model.training
    assert task.notes(nn.Linear(4, 3)) == []
    assert logits_of((torch.zeros(()), torch.ones(2, 3))).shape == (2, 3), "a loss before the logits is none of them"
    assert logits_of((torch.zeros(2, 5, 4), torch.ones(2, 3))).shape == (2, 3), "a row a sample comes before a map"


def test_plain_weights_of_a_built_network_follow_the_card(tmp_path):
    model = TwoHeads(named=False)
    torch.save(model.state_dict(), tmp_path / "w.pt")

    class Factory:
        def build(self) -> nn.Module:
            return TwoHeads(named=False)

    card = oga_core.models.ModelCard("tabular", tuple(CLASSES), {"features": list("wxyz")}, output=1)
    loaded = load_plain_weights(tmp_path / "w.pt", card, Factory())
    x = torch.randn(3, 4)
    assert torch.equal(loaded.module(x), model.coarse(model.body(x).relu()))


def test_a_network_that_is_run_says_which_was_taken():
    model = TwoHeads(named=True)
    with taken_output(model) as notes:
        model(torch.randn(3, 4))
        model(torch.randn(2, 4))
    [note] = notes
    assert "the one called embedding is taken" in note
    model(torch.randn(3, 4))
    assert len(notes) == 1


@pytest.mark.parametrize("output", [-1, True, 1.5, []])
def test_what_is_no_output_is_refused(output):
    card = {"modality": "tabular", "classes": CLASSES, "output": output}
    with pytest.raises(OgaError, match="must be an output's name, or its position counted from 0"):
        oga_core.models.ModelCard.from_json(json.dumps(card), "c.json")
