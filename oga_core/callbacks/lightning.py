"""A callback for Lightning's Trainer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch import Callback, LightningModule, Trainer

from oga_core.callbacks.training import ScoredTraining, require_loader

if TYPE_CHECKING:
    from oga_core.notebook.run import Run


class ScoreCallback(Callback):
    """Score the training set when `trainer.fit(module, …)` ends: `Trainer(callbacks=[ScoreCallback("my-run")])`.

    The module is called as `module(inputs)`, so `forward` returns the logits; with another loss than cross-entropy give
    loss=…. run: the folder to write. checkpoints: of how many epochs at most to keep the weights, as safetensors, and
    to score with them. options: of `oga_core.score`. `scored_run` is the run afterwards, None where a warning says why
    not.
    """

    def __init__(self, run: Path | str, *, checkpoints: int = 3, **options: Any):
        self.training = ScoredTraining(run, checkpoints=checkpoints, **options)
        self.scored_run: Run | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse what could not be scored before time is spent on training."""
        if trainer.is_global_zero:
            require_loader(trainer.train_dataloader)
            self.training.begin()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep weights."""
        if trainer.is_global_zero:
            self.training.end_epoch(pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Score."""
        if trainer.is_global_zero:
            self.scored_run = self.training.end(pl_module, require_loader(trainer.train_dataloader))
