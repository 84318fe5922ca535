"""Runs of live models: images, texts, tables and tokens, to a run that can be looked at, decided and exported."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import TensorDataset

import oga_core as oga
from oga_core.errors import OgaError
from oga_core.runs.evidence import Evidence

N = 60
FIRST = "0000000.png"  # as images of a live data set are kept


def labels(n_classes: int = 3) -> torch.Tensor:
    return torch.arange(N) % n_classes


def images() -> TensorDataset:
    generator = torch.Generator().manual_seed(0)
    return TensorDataset(torch.randn(N, 3, 8, 8, generator=generator) + labels()[:, None, None, None], labels())


def image_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


@pytest.fixture(scope="module")
def image_run(tmp_path_factory: pytest.TempPathFactory) -> oga.Run:
    folder = tmp_path_factory.mktemp("live")
    return oga.score(image_network(), images(), folder / "run", classes=["cat", "dog", "owl"], map="pca")


def test_a_run_of_a_live_model_is_a_run_like_any(image_run: oga.Run) -> None:
    assert image_run.info.status == "done"
    assert image_run.info.model_format == "live"
    assert image_run.info.modality == "image"
    assert image_run.info.classes == ("cat", "dog", "owl")
    assert len(image_run.table) == N
    assert image_run.scores[0] == "oga"
    assert image_run.table["given_label"].tolist() == [("cat", "dog", "owl")[i % 3] for i in range(N)]
    assert image_run.info.gradient_check_error is not None
    assert image_run.info.gradient_check_error < 1e-4


def test_what_was_scored_can_be_looked_at(image_run: oga.Run) -> None:
    picture = image_run.samples.inputs[0]
    assert isinstance(picture, Image.Image)
    assert picture.size == (8, 8)
    assert np.asarray(picture).std() > 10


def test_a_run_is_opened_asked_decided_and_exported(image_run: oga.Run, tmp_path: Path) -> None:
    run = oga.open_run(image_run.path)
    flagged = run.flagged(0.1)
    assert len(flagged) == 6
    assert flagged["score_oga"].is_monotonic_decreasing
    first, second = flagged["sample_id"].iloc[:2]
    before = run.expect(0.1).precision
    run.decide(first, relabel="owl", note="an owl")
    run.decide([second], "remove")
    assert run.decisions.set_index("sample_id").loc[first, "new_label"] == "owl"
    assert run.expect(0.1).precision.estimate > before.estimate
    assert run.undo() == [second]
    assert run.decisions["sample_id"].tolist() == [first]
    table = pd.read_csv(run.export("csv", tmp_path / "fixes.csv"))
    assert table.loc[table["sample_id"].astype(str) == first, "corrected_label"].tolist() == ["owl"]
    assert run.export("fixed", tmp_path / "fixed.zip").is_file()


def test_verify_trains_the_head_on_the_run_s_features(image_run: oga.Run) -> None:
    assert "nothing_changed" in image_run.verify(seeds=1, trim_fraction=0.1)["arms"]
    with pytest.raises(OgaError, match="no network to train"):
        image_run.verify(depth="all", trim_fraction=0.1)


def test_a_run_describes_itself(image_run: oga.Run) -> None:
    assert "60 samples (image)" in repr(image_run)
    assert "<svg" in image_run._repr_html_()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda run: run.decide("no such", "keep"), "The run has no sample 'no such'"),
        (lambda run: run.decide(FIRST), "Give one of the actions keep, relabel, remove, unsure"),
        (lambda run: run.decide(FIRST, "keep", relabel="owl"), "Give one of the actions keep, relabel, remove, unsure"),
        (lambda run: run.decide(FIRST, relabel="ow"), "Unknown class 'ow'. Choose one of: cat, dog, owl"),
        (lambda run: run.decide(FIRST, "drop"), "Unknown action 'drop'"),
        (lambda run: run.flagged(1.5), "The trim fraction must be from 0 to 1, got 1.5"),
        (lambda run: run.flagged(score="los"), "Unknown score 'los'"),
    ],
)
def test_errors_of_a_run_name_the_argument(image_run: oga.Run, call: object, message: str) -> None:
    run = oga.open_run(image_run.path)
    if "no sample" not in message:
        call = lambda opened, inner=call: inner(opened)  # noqa: E731
    with pytest.raises(OgaError, match=re.sub(r"([.()])(?!\*)", r"\\\1", message)):
        call(run)  # type: ignore[operator]


def test_tables_and_pairs_of_arrays(tmp_path: Path) -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(N, 4)), columns=list("abcd"))
    frame["label"] = np.where(np.arange(N) % 2, "yes", "no")
    torch.manual_seed(0)
    run = oga.score(nn.Linear(4, 2), frame, tmp_path / "frame", map="none", scores="loss")
    assert run.info.classes == ("no", "yes")
    assert run.info.modality == "tabular"
    assert run.table["given_label"].tolist() == frame["label"].tolist()
    pair = (frame[list("abcd")].to_numpy(), np.arange(N) % 2)
    other = oga.score(nn.Linear(4, 2), pair, tmp_path / "pair", map="none", scores=["loss", "margin"])
    assert other.scores == ["loss", "margin"]


def test_tokens_of_a_language_model(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(vocab_size=50, n_positions=16, n_embd=16, n_layer=1, n_head=2)
    rows = [{"input_ids": torch.randint(50, (12,)), "labels": torch.randint(50, (12,))} for _ in range(12)]
    run = oga.score(GPT2LMHeadModel(config), rows, tmp_path / "run", map="none")
    assert run.info.modality == "causal_lm"
    assert run.info.classes == ()
    assert run.flagged(0.25).shape[0] == 3
    assert run.info.default_score == "oga"
    losses = Evidence(run.scored).token_losses(3)
    assert len(losses) == 11
    np.testing.assert_allclose(losses.mean(dtype=float), run.table["score_loss"][3], rtol=1e-3)


def test_files_are_scored_in_the_worker(tmp_path: Path) -> None:
    from oga_sample_data import __file__ as sample_data

    folder = Path(sample_data).parent
    frame = pd.read_csv(folder / "tumours.csv")
    run = oga.score(str(folder / "tumours.pt2"), frame, tmp_path / "run", map="none", scores="loss",
                    label_column="diagnosis")  # fmt: skip
    assert run.info.model_format == "pt2"
    assert run.info.jail


@pytest.mark.parametrize(
    ("model", "dataset", "options", "message"),
    [
        ("m.pt2", object(), {}, "dataset is 'object' and model is a file"),
        ("m.pt2", "d.csv", {"loss": nn.MSELoss()}, "loss is for a live model"),
        (image_network(), "d.csv", {}, "dataset is the path 'd.csv' and model is live"),
        (image_network(), images(), {"scored": 1}, "Unknown option 'scored'"),
        (image_network(), images(), {"classes": ["a"]}, "has the label 2, but classes names 1"),
        (3, images(), {}, "model is 'int'. Give a torch.nn.Module"),
        (
            image_network(),
            images(),
            {"loss": lambda a, b, c: a},
            "loss fails on one sample: .* is called as loss(outputs",
        ),
        (image_network(), images(), {"loss": nn.BCEWithLogitsLoss()}, "with outputs (1, 3) and target (1,)"),
        (image_network(), images(), {"loss": lambda a, b: a.detach().sum(1)}, "computed from the model's outputs"),
    ],
)
def test_wrong_arguments_are_named(model: object, dataset: object, options: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(OgaError, match=re.sub(r"([.()])(?!\*)", r"\\\1", message)):
        oga.score(model, dataset, tmp_path / "run", **options)
