"""Networks trained again on masks: without the flagged ones, with the model's in their place, and as decided."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mask_runs import make_run, members_of, packaged, trained, write_zip
from mask_sets import SIDE, shapes

from oga_core import open_run
from oga_core.errors import OgaError
from oga_core.retrain import verify
from oga_core.retrain.arms import DECIDED, NOTHING_CHANGED, RANDOM_TRIM, RELABELLED, TRIMMED
from oga_core.retrain.masks import GIVEN, PREDICTED
from oga_core.retrain.targets import with_labels
from oga_core.retrain.training import shifted
from oga_core.runs.folder import RunFolder
from oga_core.runs.pixels import RunPixels
from oga_core.samples import MODEL_MASK, REDO

DATA = shapes(3, 40)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("retrained")
    DATA.given[:, 0, :3] = 255
    data = write_zip(folder / "shapes.zip", members_of(DATA))
    return make_run(folder, data, packaged(trained(shapes(3, 40)), folder / "m.pt2"), scores=("oga", "loss"))


def test_every_arm_is_trained_and_judged_by_its_mean_loss(run: RunFolder, tmp_path: Path) -> None:
    wrong = [f"images/s{row:02}.png" for row in np.flatnonzero(shapes(3, 40).wrong)]
    desk = open_run(run.path)
    desk.decide(wrong[0], relabel=MODEL_MASK)
    desk.decide(wrong[1:3], relabel=REDO)
    judges = write_zip(tmp_path / "clean.zip", members_of(shapes(4, 12)))
    summary = verify(run, trim_fraction=0.1, validation=judges, seeds=2, epochs=4)
    arms = summary["arms"]
    assert summary["depth"] == "all"
    assert set(arms) == {NOTHING_CHANGED, TRIMMED, RANDOM_TRIM, RELABELLED, DECIDED}
    assert [arms[name]["n_train"] for name in (NOTHING_CHANGED, TRIMMED, RELABELLED, DECIDED)] == [40, 36, 40, 38]
    assert 1 <= arms[RELABELLED]["n_relabelled"] <= 4
    assert arms[DECIDED]["n_relabelled"] == 1
    assert "the mean loss of 12 validation samples is" in summary["verdict"]
    assert "rows" not in " ".join([summary["verdict"], *summary["warnings"]])
    losses = [arms[name]["loss"]["mean"] for name in arms]
    assert len(set(losses)) == len(losses), "every arm trains on something else"
    with pytest.raises(OgaError, match="For masks the whole network is trained"):
        verify(run, depth="head")


def test_the_models_mask_stands_in_where_it_is_chosen(run: RunFolder) -> None:
    samples = run.samples
    pixels = RunPixels(run)
    some = with_labels(samples, np.array([7, 3]), np.array([PREDICTED, GIVEN]), pixels)
    assert some.masks is not None
    assert samples.masks is not None
    assert (some.masks[1] == samples.masks[3]).all()
    assert (some.masks[0][1:] == pixels.predicted(7)[1:]).all()
    assert some.masks[0][0, :3].tolist() == [-1] * 3, "what has no class gets none"


def test_masks_move_with_their_images() -> None:
    labels = torch.arange(1, 1 + SIDE * SIDE).reshape(1, SIDE, SIDE)
    batch = {"images": labels[:, None].float(), "labels": labels}
    moves = set()
    for seed in range(8):
        moved = shifted(batch, np.random.default_rng(seed))
        inside = moved["labels"] != -100
        assert (moved["images"][:, 0][inside] == moved["labels"][inside]).all()
        moves.add(int(moved["labels"][0, SIDE // 2, SIDE // 2]))
    assert len(moves) > 3
    classes = {**batch, "labels": torch.tensor([2])}
    assert shifted(classes, np.random.default_rng(0))["labels"].tolist() == [2]
