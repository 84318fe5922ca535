"""Training ends in a scored run: with the real Trainer of Hugging Face, and with Lightning's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader
from trainings import EPOCHS, N_CLASSES, WRONG, N, arguments, blobs, language_model, sums
from transformers import Trainer

import oga_core as oga
from oga_core.callbacks.huggingface import ScoreCallback
from oga_core.callbacks.training import ScoredTraining
from oga_core.live.weights import lent_weights, save_weights


@pytest.fixture(scope="module")
def language_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("language")
    model = language_model()
    callback = ScoreCallback(folder / "run", checkpoints=3, map="none")
    Trainer(model, arguments(folder), train_dataset=sums(), callbacks=[callback]).train()
    return model, callback.scored_run


def test_a_language_model_is_scored_on_the_tokens_it_was_trained_on(language_run):
    model, run = language_run
    assert len(run) == N
    assert run.info.modality == "causal_lm"
    rows = sums()
    tokens = torch.tensor([row["input_ids"] for row in rows])
    with torch.no_grad():
        logits = model.eval()(tokens).logits[:, 3]
    losses = F.cross_entropy(logits, tokens[:, 4], reduction="none")
    np.testing.assert_allclose(run.table["score_loss"], losses, rtol=1e-3, atol=1e-4)


def test_checkpoints_are_weights_spread_over_the_epochs_and_used(language_run):
    model, run = language_run
    checkpoints = sorted((run.path / "checkpoints").iterdir())
    assert [path.name for path in checkpoints] == [
        "epoch-0002.safetensors",
        "epoch-0004.safetensors",
        "epoch-0006.safetensors",
    ]
    last = load_file(checkpoints[-1])
    for name, value in dict(model.named_parameters()).items():
        torch.testing.assert_close(last[name], value.detach())
    assert any(not torch.equal(value, last[name]) for name, value in load_file(checkpoints[0]).items())
    assert "mean_loss" in run.scores


def test_a_classifier_names_its_classes_and_its_wrong_labels_come_first(tmp_path):
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    names = {0: "cat", 1: "dog", 2: "eel"}
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(vocab_size=24, id2label=names, label2id={v: k for k, v in names.items()}, **sizes)
    model = BertForSequenceClassification(config)
    rng = np.random.default_rng(0)
    truth = np.arange(N) % N_CLASSES
    rows = [
        {"input_ids": (8 * t + rng.integers(0, 8, 5)).tolist(), "label": int((t + wrong) % N_CLASSES)}
        for t, wrong in zip(truth, WRONG, strict=True)
    ]
    callback = ScoreCallback(tmp_path / "run", checkpoints=0, map="none", scores=["oga", "loss"])
    Trainer(model, arguments(tmp_path), train_dataset=rows, callbacks=[callback]).train()
    run = callback.scored_run
    assert list(run.info.classes) == ["cat", "dog", "eel"]
    assert not (run.path / "checkpoints").exists()
    assert WRONG[run.flagged(0.1).index].mean() > 0.8


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning", "ignore:The 'train_dataloader' does not have many")
def test_lightning_ends_in_a_run_too(tmp_path):
    lightning = pytest.importorskip("lightning.pytorch", reason="lightning is not installed")
    from oga_core.callbacks.lightning import ScoreCallback as LightningCallback

    class Classifier(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, N_CLASSES))

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, step):
            return F.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), 0.02)

    torch.manual_seed(0)
    module = Classifier()
    callback = LightningCallback(tmp_path / "run", checkpoints=2, map="none")
    trainer = lightning.Trainer(
        max_epochs=EPOCHS,
        callbacks=[callback],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    trainer.fit(module, DataLoader(blobs(), batch_size=40, shuffle=True))
    run = callback.scored_run
    assert WRONG[run.flagged(0.1).index].mean() > 0.8
    assert [path.stem for path in (run.path / "checkpoints").iterdir()] == ["epoch-0004"]
    assert "net.1.running_mean" in load_file(run.path / "checkpoints" / "epoch-0004.safetensors")
    assert "aum" in run.scores


def test_what_cannot_be_scored_is_refused_before_training(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    model = language_model()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    trainer = Trainer(model, arguments(tmp_path), train_dataset=sums(), callbacks=[ScoreCallback(tmp_path / "mine")])
    with pytest.raises(oga.OgaError, match="is not empty and is not a run"):
        trainer.train()
    assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
    with pytest.raises(oga.OgaError, match=r"checkpoints must be 0 or more\. Got -1"):
        ScoreCallback(tmp_path / "run", checkpoints=-1)


def test_a_scoring_that_fails_leaves_the_training_its_result(tmp_path):
    callback = ScoreCallback(tmp_path / "run", scores=["no such score"])
    trainer = Trainer(language_model(), arguments(tmp_path), train_dataset=sums(), callbacks=[callback])
    with pytest.warns(UserWarning, match="The training is done, but was not scored: .*no such score"):
        assert trainer.train().global_step == EPOCHS * N // 30
    assert callback.scored_run is None


def test_checkpoints_stay_spread_however_long_a_training_is(tmp_path):
    training = ScoredTraining(tmp_path / "run", checkpoints=4)
    training.begin()
    model = nn.Linear(2, 2)
    for _ in range(37):
        training.end_epoch(model)
    numbers = [int(path.stem.split("-")[1]) for path in sorted((tmp_path / "run" / "checkpoints").iterdir())]
    assert numbers == [8, 16, 24, 32]
    training.begin()
    assert not list((tmp_path / "run" / "checkpoints").iterdir())


def test_weights_are_lent_and_given_back(tmp_path):
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 3))
    model[2].weight = model[0].weight
    model[2].bias.requires_grad_(False)
    model(torch.randn(8, 3))
    save_weights(model, tmp_path / "w.safetensors")
    saved = load_file(tmp_path / "w.safetensors")
    assert {"0.weight", "1.running_mean"} < set(saved)
    assert "2.bias" not in saved
    with torch.no_grad():
        model[0].weight.add_(1)
    own = model[0].weight.detach().clone()
    with lent_weights(model, tmp_path / "w.safetensors"):
        assert torch.equal(model[2].weight, saved["0.weight"])
    assert torch.equal(model[0].weight, own)


def test_weights_of_another_model_are_refused(tmp_path):
    save_weights(nn.Linear(2, 2), tmp_path / "w.safetensors")
    with pytest.raises(oga.OgaError, match="'weight'"), lent_weights(nn.Linear(3, 2), tmp_path / "w.safetensors"):
        pass
    (tmp_path / "x.safetensors").write_bytes(b"no tensors")
    with pytest.raises(oga.OgaError, match="cannot be read"), lent_weights(nn.Linear(3, 2), tmp_path / "x.safetensors"):
        pass
