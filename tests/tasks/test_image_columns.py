"""Models that read an image and columns beside it, from `package_model` to a run."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from here import score_here
from PIL import Image
from torch import Tensor, nn

from oga_core import package_model
from oga_core.errors import OgaError
from oga_core.models import load_model
from oga_core.models.card import ModelCard
from oga_core.pipeline.options import ScoreOptions
from oga_core.readers import read_samples
from oga_core.tasks import task_for

COLUMNS: dict[str, Any] = {
    "features": {"meta": ["age", "sex"], "site": ["site"]},
    "categories": {"sex": ["f", "m"], "site": ["arm", "leg", "back"]},
    "mean": [50],
    "std": [10],
}
CLASSES = ("benign", "malign")


class Lesions(nn.Module):
    """An image, age and sex, and an embedding of where it was taken."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.site = nn.Embedding(3, 2)
        self.head = nn.Linear(4 + 3 + 2, 2)

    def forward(self, picture: Tensor, meta: Tensor, site: Tensor) -> Tensor:
        return self.head(torch.cat([self.body(picture), meta, self.site(site[:, 0])], dim=1))


def example() -> dict[str, Tensor]:
    return {
        "meta": torch.rand(3, 3),
        "picture": torch.rand(3, 3, 8, 8),
        "site": torch.tensor([[0], [2], [1]]),
    }


def data(path: Path, n: int = 24) -> Path:
    rng = np.random.default_rng(0)
    lines = ["file_name,label,age,sex,site"]
    with zipfile.ZipFile(path, "w") as file:
        for i in range(n):
            content = io.BytesIO()
            Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(content, "PNG")
            file.writestr(f"{i:02}.png", content.getvalue())
            lines.append(f"{i:02}.png,{CLASSES[i % 2]},{30 + i},{'fm'[i % 2]},{('arm', 'leg', 'back')[i % 3]}")
        file.writestr("metadata.csv", "\n".join(lines))
    return path


def packaged(path: Path, given: Any = None, **columns: Any) -> Path:
    torch.manual_seed(0)
    settings = {"columns": {**COLUMNS, **columns}}
    return package_model(Lesions(), example() if given is None else given, path, classes=CLASSES, input=settings)


@pytest.mark.parametrize("as_tuple", [False, True])
def test_each_input_gets_its_columns(as_tuple: bool, tmp_path: Path) -> None:
    named = example()
    given = (named["picture"], named["meta"], named["site"]) if as_tuple else named
    loaded = load_model(packaged(tmp_path / "m.pt2", given))
    assert loaded.card.input["image"] == "picture"
    assert loaded.card.input["image_size"] == [8, 8]
    samples = loaded.card.fitted(read_samples(data(tmp_path / "d.zip")))[0]
    task = task_for(loaded.card)
    batch = task.batch(samples, np.array([4, 1]))
    torch.manual_seed(0)
    model = Lesions().eval()
    pictures = torch.stack([torch.tensor(np.array(samples.inputs[i])).permute(2, 0, 1) / 255 for i in (4, 1)])
    meta = torch.tensor([[(34 - 50) / 10, 1, 0], [(31 - 50) / 10, 0, 1]])
    expected = model(pictures, meta, torch.tensor([[1], [1]]))
    torch.testing.assert_close(task.outputs(loaded.module, batch), expected)


def test_a_run_takes_exact_gradients_of_all_inputs(tmp_path: Path) -> None:
    model = packaged(tmp_path / "m.pt2")
    options = ScoreOptions(map="none", scores=("loss", "l2_norm_all"), parameters="all")
    run = score_here(data(tmp_path / "d.zip"), model, tmp_path / "run", options)
    assert run.info.gradient_check_error is not None
    assert run.info.gradient_check_error < 1e-5
    assert run.info.gradient_coverage == 1


def test_the_card_must_say_which_columns_feed_which_input(tmp_path: Path) -> None:
    with pytest.raises(
        OgaError, match=r"takes 3 inputs .*input=\{\"columns\": \{\"features\": \{\"meta\": \[\"column\", …\]"
    ):
        package_model(Lesions(), example(), tmp_path / "m.pt2", classes=CLASSES)
    with pytest.raises(
        OgaError, match=r"'meta' of the example has shape \(3, 3\), and the columns \['age'\] make \(batch, 1\)"
    ):
        packaged(tmp_path / "m.pt2", features={"meta": ["age"], "site": ["site"]})
    with pytest.raises(OgaError, match="'site' takes integers, and 'site' has no categories"):
        packaged(tmp_path / "m.pt2", categories={"sex": ["f", "m"]})
    with pytest.raises(OgaError, match="which columns each further input of the model takes"):
        task_for(ModelCard("image", CLASSES, {"image_size": 8, "columns": ["age"]}))


def test_a_column_that_the_data_lack_is_named(tmp_path: Path) -> None:
    loaded = load_model(packaged(tmp_path / "m.pt2", features={"meta": ["weight", "sex"], "site": ["site"]}))
    samples = loaded.card.fitted(read_samples(data(tmp_path / "d.zip")))[0]
    with pytest.raises(OgaError, match=r"no column .weight..* It has: file_name, label, age, sex, site"):
        task_for(loaded.card).batch(samples, np.array([0]))
