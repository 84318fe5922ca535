"""A model that gives every pixel a class, from its file to losses, gradients and predicted masks in the run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mask_runs import SmallSegmenter, make_run, members_of, packaged, trained, write_zip
from mask_sets import CLASSES, SIDE, shapes
from sklearn.metrics import average_precision_score
from torch import Tensor, nn

from oga_core import package_model
from oga_core.errors import OgaError
from oga_core.findings.targets.masks import mask_findings, wrong_mask_probability
from oga_core.gradient_sketch import GradientSketch
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass
from oga_core.gradients.pixels.pixel_arrays import region_kinds
from oga_core.gradients.pixels.predicted_masks import PredictedMasks
from oga_core.models import load_model
from oga_core.readers import read_samples
from oga_core.runs.folder import RunFolder
from oga_core.runs.scored import ScoredRun
from oga_core.runs.words import result_in_words
from oga_core.samples import MODEL_MASK
from oga_core.scores.segmentation.evidence import doubtful_masks, wrong_masks
from oga_core.tasks.prepare import prepare

DATA = shapes()
SCORES = ("oga", "loss", "l1_norm_all", "l2_norm_all", "isolation_forest_sketch", "self_trak")


@pytest.fixture(scope="module")
def network() -> SmallSegmenter:
    return trained(DATA)


@pytest.fixture(scope="module")
def files(network: SmallSegmenter, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("masks")
    return write_zip(folder / "shapes.zip", members_of(DATA)), packaged(network, folder / "shapes.pt2")


@pytest.fixture(scope="module")
def run(files: tuple[Path, Path]) -> RunFolder:
    return make_run(files[0].parent, *files, scores=SCORES)


def images() -> Tensor:
    return torch.from_numpy(DATA.images.astype(np.float32) / 255).permute(0, 3, 1, 2)


def given() -> Tensor:
    return torch.from_numpy(DATA.given.astype(np.int64))


def test_losses_are_the_mean_over_pixels(run: RunFolder, network: SmallSegmenter) -> None:
    with torch.no_grad():
        expected = nn.functional.cross_entropy(network(images()), given(), reduction="none").mean(dim=(1, 2))
    np.testing.assert_allclose(run.gradient_sketch().losses, expected.numpy(), rtol=1e-4)


def test_the_run_says_what_it_is_of(run: RunFolder) -> None:
    info = run.info
    assert (info.target, info.classes, info.label_names) == ("mask", (), CLASSES)
    assert info.loss == {"name": "pixel_cross_entropy"}
    assert info.gradient_check_error is not None
    assert info.gradient_check_error < 1e-5
    assert not any("memorised" in warning for warning in info.warnings)
    assert run.table["given_label"][0] == " | ".join(CLASSES[index] for index in np.unique(DATA.given[0]))


def test_predicted_masks_and_losses_by_region_are_kept(run: RunFolder, network: SmallSegmenter) -> None:
    sketch = run.gradient_sketch()
    masks = PredictedMasks(run.arrays)
    assert sketch.mask_spans is not None
    assert sketch.region_losses is not None
    with torch.no_grad():
        logits = network(images())
    for i in (0, 7, 59):
        assert (masks.of(sketch.mask_spans[i]) == logits[i].argmax(0).numpy()).all()
    losses = nn.functional.cross_entropy(logits, given(), reduction="none").numpy()
    np.testing.assert_allclose(sketch.region_losses, losses, rtol=2e-3, atol=1e-3)
    right = (logits.argmax(1) == given()).float().mean()
    assert run.info.model_accuracy_on_given_labels == pytest.approx(float(right), abs=1e-5)


def test_the_head_is_the_last_convolution_and_its_norms_are_exact(run: RunFolder, network: SmallSegmenter) -> None:
    table = run.table
    for i in (0, 5, 31):
        network.zero_grad()
        nn.functional.cross_entropy(network(images()[i : i + 1]), given()[i : i + 1]).backward()
        whole = torch.cat([part.grad.flatten() for part in network.head.parameters() if part.grad is not None])
        assert table["score_l2_norm_all"][i] == pytest.approx(float(whole.norm()), rel=1e-4)
        assert table["score_l1_norm_all"][i] == pytest.approx(float(whole.abs().sum()), rel=1e-4)


def test_wrong_masks_come_first_and_are_counted(run: RunFolder) -> None:
    table = run.table
    assert run.info.default_score == "oga"
    assert average_precision_score(DATA.wrong, table["score_oga"]) > 0.8
    assert average_precision_score(DATA.wrong, table["score_loss"]) < 0.95
    doubtful = (table["finding"] == "likely wrong mask").to_numpy()
    assert (doubtful & DATA.wrong).sum() >= 4
    assert (doubtful & ~DATA.wrong).sum() <= 1
    assert table["suggested_label"].eq(MODEL_MASK).to_numpy().tolist() == doubtful.tolist()
    assert run.info.noise_rate is not None
    assert run.info.noise_rate.low < DATA.wrong.mean() < run.info.noise_rate.high
    chance = table["wrong_label_probability"].to_numpy()
    order = np.argsort(table["score_oga"].to_numpy(), kind="stable")
    assert (np.diff(chance[order]) >= 0).all()
    assert "of the masks look wrong" in result_in_words(ScoredRun(run.path))[0]


def test_findings_say_where_and_what(run: RunFolder) -> None:
    table = run.table
    row = int(table["score_oga"].idxmax())
    places = np.argwhere(DATA.true[row] != DATA.given[row])
    third = (3 * places.mean(axis=0) / SIDE).astype(int).tolist()
    down, across = ("top", "middle", "bottom")[third[0]], ("left", "middle", "right")[third[1]]
    name = CLASSES[DATA.given[row][tuple(places[0])]]
    assert table["reason"][row].startswith(f"The model differs most from what the mask calls {name!r} ")
    assert down in table["reason"][row]
    assert across in table["reason"][row]


def test_regions_are_compared_with_their_like() -> None:
    """A kind that is always hard is not suspicious; one that is usually easy is, where it is hard."""
    kinds = np.full((20, 16, 16), 0, dtype=np.int32)
    kinds[:, :8] = 3
    losses = np.where(kinds == 3, 2.0, 0.1).astype(np.float32)
    losses[7, 10:14, 4:8] = 1.5
    kinds[3, 15] = -1
    losses[3, 15] = -1
    sketch = GradientSketch(
        np.full(20, -1), losses.mean(axis=(1, 2)), np.zeros((20, 2)), region_losses=losses, region_kinds=kinds
    )
    judged = wrong_masks(sketch)
    assert judged.excess.argmax() == 7
    assert np.delete(judged.excess, 7).max() < 0.1 * judged.excess[7]
    assert judged.classes[7] == 0
    row, column = judged.place[7].tolist()
    assert 9 <= row <= 14
    assert 3 <= column <= 8


def test_a_mask_that_is_off_everywhere_a_little_is_told_by_its_gradient() -> None:
    rng = np.random.default_rng(0)
    losses = rng.gamma(4, 0.05, (80, 8, 8)).astype(np.float32)
    losses[3, 2:5, 2:5] += 1
    gradients = rng.normal(size=(80, 4)).astype(np.float32)
    gradients[7] *= 12
    means = losses.mean(axis=(1, 2))
    kinds = np.zeros((80, 8, 8), dtype=np.int32)
    sketch = GradientSketch(np.full(80, -1), means, gradients, region_losses=losses, region_kinds=kinds)
    assert wrong_masks(sketch).excess.argmax() == 3
    assert set(np.argsort(-doubtful_masks(sketch))[:2]) == {3, 7}


def test_a_mask_that_fits_better_than_usual_is_not_wrong() -> None:
    rng = np.random.default_rng(0)
    losses = rng.gamma(4, 0.1, (80, 8, 8)).astype(np.float32)
    losses[0] = -60.0
    losses[1] = 60.0
    kinds = np.zeros((80, 8, 8), dtype=np.int32)
    means = losses.mean(axis=(1, 2))
    sketch = GradientSketch(np.full(80, -1), means, np.zeros((80, 2)), region_losses=losses, region_kinds=kinds)
    chance = wrong_mask_probability(sketch)
    assert chance[0] == 0
    assert chance[1] > 0.9


def test_kinds_of_regions_are_their_class_and_whether_they_lie_at_an_edge() -> None:
    labels = torch.zeros(1, 4, 6, dtype=torch.long)
    labels[0, :, 3:] = 2
    labels[0, 0, 0] = -100
    assert region_kinds(labels, 3, (4, 6))[0].tolist()[3] == [0, 0, 1, 5, 4, 4]
    assert region_kinds(labels.mT, 3, (6, 4))[0, :, 3].tolist() == [0, 0, 1, 5, 4, 4]
    assert region_kinds(labels, 3, (2, 2))[0].tolist() == [[1, 5], [1, 5]]
    assert region_kinds(labels, 3, (2, 1))[0].tolist() == [[5], [1]]


class Enlarged(nn.Module):
    """Gives a map of half the size in a dict, as torchvision's models do before they enlarge it."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.head = nn.Conv2d(6, len(CLASSES), 1, bias=False)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"out": self.head(torch.relu(self.body(images)))}


class Transposed(nn.Module):
    """Ends in a transposed convolution, which is no head."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.head = nn.ConvTranspose2d(6, len(CLASSES), 2, stride=2)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(torch.relu(self.body(images)))


@pytest.mark.parametrize(("kind", "whole"), [(Enlarged, False), (Transposed, True)])
def test_other_ends_of_a_network(kind: type[nn.Module], whole: bool, files: tuple[Path, Path], tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = kind().eval()
    loaded = load_model(packaged(model, tmp_path / "m.pt2"))
    samples, task = prepare(read_samples(files[0]).take(np.arange(6)), loaded)
    result = gradient_pass(task, loaded.module, samples, folder=tmp_path / "pass", options=PassOptions(exact_l2=True))
    outputs = model(images()[:6])
    outputs = outputs["out"] if isinstance(outputs, dict) else outputs
    enlarged = nn.functional.interpolate(outputs, size=(SIDE, SIDE), mode="bilinear")
    parameters = list(model.parameters() if whole else model.head.parameters())
    norms = []
    for i in range(6):
        loss = nn.functional.cross_entropy(enlarged[i : i + 1], given()[i : i + 1])
        grads = torch.autograd.grad(loss, parameters, retain_graph=True)
        norms.append(float(torch.cat([grad.flatten() for grad in grads]).norm()))
    np.testing.assert_allclose(result.sketch.l2_norm_all, norms, rtol=1e-4)
    assert any("no last layer of classes" in note for note in result.notes) == whole


def test_a_softmax_at_the_end_is_seen(files: tuple[Path, Path], network: SmallSegmenter, tmp_path: Path) -> None:
    model = nn.Sequential(network, nn.Softmax(dim=1))
    with pytest.raises(OgaError, match="ends with a softmax"):
        make_run(tmp_path, files[0], packaged(model, tmp_path / "m.pt2"), scores=("loss",))


def test_what_does_not_fit_is_refused_in_words(files: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(OgaError, match="'margin' needs logits of classes, one class a sample"):
        make_run(tmp_path, *files, scores=("margin",))
    with pytest.raises(OgaError, match="or one that tags words or pixels"):
        make_run(tmp_path, *files, scores=("l2_norm",))
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, len(CLASSES)))
    with pytest.raises(OgaError, match="Return logits of shape \\(batch, classes, height, width\\)"):
        packaged(flat, tmp_path / "m.pt2")
    with pytest.raises(OgaError, match="gives 4 logits, but 2 classes are named"):
        package_model(
            SmallSegmenter(), torch.rand(2, 3, 8, 8), tmp_path / "m.pt2", classes=("a", "b"), loss="pixel_cross_entropy"
        )


@pytest.mark.parametrize("seed", range(6))
def test_few_masks_tell_how_many_are_wrong(seed: int) -> None:
    rng = np.random.default_rng(seed)
    losses = rng.gamma(4, 0.02, (40, 8, 8)).astype(np.float32)
    losses[:4, :3, :3] += rng.uniform(0.5, 3, (4, 1, 1))
    means = losses.mean(axis=(1, 2))
    kinds = np.zeros((40, 8, 8), dtype=np.int32)
    sketch = GradientSketch(np.full(40, -1), means, np.zeros((40, 2)), region_losses=losses, region_kinds=kinds)
    columns, fields = mask_findings(sketch, CLASSES)
    assert fields["noise_rate"]["low"] < 0.1 < fields["noise_rate"]["high"] < 0.3
    assert np.flatnonzero(columns["finding"] != "none").tolist() == [0, 1, 2, 3]
