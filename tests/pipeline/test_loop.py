"""The whole loop on photographs of digits: train, score, take the suggestions, export, train again, compare."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from here import score_here
from PIL import Image
from torch import nn

import oga_core
from oga_core.evaluation.runs import RunPair
from oga_core.exports.fixed import write_fixed
from oga_core.exports.job import decided_run
from oga_core.pipeline.options import ScoreOptions
from oga_core.readers import read_samples
from oga_core.review import ReviewStore
from oga_core.review.proposals import decide_alike
from oga_core.runs.folder import RunFolder
from oga_core.runs.scored import ScoredRun

CLASSES = tuple("01234")
N = 500
WRONG = 0.25
OPTIONS = ScoreOptions(scores=("oga", "loss"), map="none")


def write_images(path: Path) -> dict[str, str]:
    """A zip of digits in folders of their classes, a quarter of them in a wrong one; return the true class by name."""
    from sklearn.datasets import load_digits

    pixels, true = load_digits(n_class=len(CLASSES), return_X_y=True)
    random = np.random.default_rng(0)
    given = np.where(random.random(N) < WRONG, (true[:N] + random.integers(1, 5, N)) % 5, true[:N])
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(N):
            content = io.BytesIO()
            Image.fromarray((pixels[i].reshape(8, 8) * 15.9).astype(np.uint8)).save(content, "PNG")
            archive.writestr(f"{CLASSES[given[i]]}/{i:04}.png", content.getvalue())
    return {f"{i:04}.png": CLASSES[true[i]] for i in range(N)}


def trained(data: Path, out: Path) -> Path:
    """A small network trained on the labels of `data`, packaged."""
    samples = read_samples(data)
    pixels = np.stack([np.asarray(samples.inputs[i].convert("L"), dtype=np.float32) for i in range(len(samples))])
    x = torch.from_numpy(pixels[:, None] / 255 - 0.3) / 0.35
    y = torch.from_numpy(np.asarray(samples.given_labels))
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 16), nn.ReLU(), nn.Linear(16, 5)
    )
    optimizer = torch.optim.Adam(network.parameters(), 0.005)
    for _ in range(6):
        for part in torch.split(torch.randperm(len(y)), 50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x[part]), y[part]).backward()
            optimizer.step()
    card = {"image_size": [8, 8], "channels": 1, "mean": [0.3], "std": [0.35]}
    return (
        oga_core.package_model(network.eval(), x[:2], out, classes=list(CLASSES), modality="image", input=card) or out
    )


@pytest.fixture(scope="module")
def loop(tmp_path_factory):
    """Both runs, the fixed data, and the true classes."""
    folder = tmp_path_factory.mktemp("loop")
    truth = write_images(folder / "digits.zip")
    first = score_here(
        folder / "digits.zip", trained(folder / "digits.zip", folder / "one.pt2"), folder / "one", OPTIONS
    )
    scored = ScoredRun(first.path)
    flagged = scored.ranked("oga").flagged(scored.noise_rate)
    store = ReviewStore(first.review)
    store.decide(decide_alike(scored, flagged.tolist(), "suggest"))
    decisions = store.decisions()
    store.close()
    fixed = write_fixed(decided_run(first, decisions), folder / "fixed")
    second = score_here(fixed, trained(fixed, folder / "two.pt2"), folder / "two", OPTIONS, previous=first.path)
    return first, second, fixed, truth, decisions


def wrong_share(data: Path, truth: dict[str, str]) -> float:
    samples = read_samples(data)
    names = [samples.class_names[label] for label in samples.given_labels]
    return float(np.mean([truth[Path(key).name] != name for key, name in zip(samples.ids, names, strict=True)]))


def test_the_fixed_data_have_far_fewer_wrong_labels(loop):
    first, _, fixed, truth, decisions = loop
    assert len(decisions) > 0.15 * N
    assert len(read_samples(fixed)) == N
    assert wrong_share(Path(first.info.data.path), truth) > 0.2
    assert wrong_share(fixed, truth) < 0.08


def test_decisions_are_carried_over_where_the_samples_are_the_same(loop):
    first, second, _, _, decisions = loop
    carried = second.info.carried
    assert second.info.previous == str(first.path)
    assert carried == {"carried": len(decisions), "applied": len(decisions), "stale": {}}
    store = ReviewStore(second.review)
    assert {made.action for made in store.decisions().values()} == {"keep"}  # done in the data, and right now
    store.close()


def test_the_comparison_says_what_the_new_model_made_of_it(loop):
    first, second, *_ = loop
    pair = RunPair.open(first.path, second.path)
    summary = pair.summary()
    assert len(pair.same) == N
    accuracy, noise = summary["accuracy_on_given_labels"], summary["noise_rate"]
    assert accuracy["new"] > accuracy["old"] + 0.1
    assert noise["new"]["rate"] < noise["old"]["rate"] / 2
    fate = pair.fates()["relabel"]
    assert fate["applied"] == fate["decided"]
    assert fate["agreed"] > 0.8 * fate["decided"]
    assert fate["flagged_now"] < fate["flagged_before"]
    assert isinstance(RunFolder.open(second.path), RunFolder)
