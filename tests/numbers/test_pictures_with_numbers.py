"""Pictures with a number each: read from a folder with a table, scored under absolute error, exported as a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from export_runs import export_here
from here import score_here
from PIL import Image
from torch import nn

from oga_core import open_run, package_model
from oga_core.pipeline.options import ScoreOptions

N, SIDE = 80, 16


def test_pictures_have_numbers_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    light = rng.integers(20, 230, N)
    light[:4] = (30, 220, 40, 210)
    numbers = light / 10.0
    numbers[:4] = 25.5 - numbers[:4]
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = np.clip(light[:, None, None] + rng.integers(-8, 9, (N, SIDE, SIDE)), 0, 255).astype(np.uint8)
    for i, picture in enumerate(pixels):
        Image.fromarray(picture).save(folder / f"p{i:02d}.png")
    table = tmp_path / "labels.csv"
    table.write_text("file_name,label\n" + "".join(f"p{i:02d}.png,{number}\n" for i, number in enumerate(numbers)))
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 1))
    card = {"image_size": [SIDE, SIDE], "channels": 1}
    packed = package_model(model, torch.rand(3, 1, SIDE, SIDE), tmp_path / "m.pt2", input=card, loss=nn.L1Loss())
    options = ScoreOptions(labels=str(table), map="none")
    run = score_here(folder, packed, tmp_path / "run", options)
    assert (run.info.modality, run.info.target) == ("image", "number")
    assert run.info.gradient_check_error is not None
    assert run.info.gradient_check_error < 1e-4
    sketch = run.gradient_sketch()
    assert sketch.view_logits is None, "a mirrored picture may have another number"
    assert sketch.middle_features is not None
    assert set(run.table["score_oga"].nlargest(4).index) == {0, 1, 2, 3}, "light tells the number"
    open_run(run.path).decide("p00.png", relabel="7.5")
    fixed = export_here(run, "fixed", tmp_path / "fixed").read_text().splitlines()
    assert fixed[1] == "p00.png,7.5"
    assert fixed[2:] == table.read_text().splitlines()[2:]
