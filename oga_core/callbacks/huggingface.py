"""A callback for `transformers.Trainer` and everything built on it, such as TRL's trainers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from oga_core.callbacks.training import ScoredTraining, require_loader

if TYPE_CHECKING:
    from oga_core.notebook.run import Run


class ScoreCallback(TrainerCallback):
    """Score the training set when `trainer.train()` ends: `Trainer(…, callbacks=[ScoreCallback("my-run")])`.

    The data are scored as they were trained on, tokenised and collated by the trainer's own collator, with the model
    that `train` leaves. run: the folder to write. checkpoints: of how many epochs at most to keep the weights, as
    safetensors, and to score with them. options: of `oga_core.score`. `scored_run` is the run afterwards, None where a
    warning says why not.
    """

    def __init__(self, run: Path | str, *, checkpoints: int = 3, **options: Any):
        self.training = ScoredTraining(run, checkpoints=checkpoints, **options)
        self.scored_run: Run | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **parts: Any
    ) -> None:
        """Refuse what could not be scored before time is spent on training."""
        if state.is_world_process_zero:
            require_loader(parts["train_dataloader"])
            self.training.begin()

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **parts: Any) -> None:
        """Keep weights."""
        if state.is_world_process_zero:
            self.training.end_epoch(parts["model"])

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **parts: Any) -> None:
        """Score."""
        if state.is_world_process_zero:
            described = {"classes": _classes(parts["model"]), "tokenizer": parts.get("processing_class")}
            self.scored_run = self.training.end(parts["model"], parts["train_dataloader"], **described)


def _classes(model: nn.Module) -> list[str] | None:
    """The names of the classes, where the model's configuration has them."""
    names = getattr(getattr(model, "config", None), "id2label", None)
    return [str(names[number]) for number in sorted(names)] if names else None
