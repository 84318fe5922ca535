"""Preference pairs: DPO's loss of a model with an adapter, against the same model without it.

Rafailov et al., Direct Preference Optimization: Your Language Model is Secretly a Reward Model, NeurIPS 2023. Tokens
are those of TRL 1.16's DPOTrainer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oga_core.errors import OgaError, UntrainedSample
from oga_core.models.card import ModelCard
from oga_core.models.packaging.logits import logits_of
from oga_core.readers.turns import words
from oga_core.samples import SampleSet
from oga_core.tasks.language.late_head import IGNORED, LateHead, head_input, next_token_losses, unwatched
from oga_core.tasks.language.tokens import RowReader
from oga_core.tasks.task import Batch, max_length_of, no_tokenizer

BETA = 0.1  # of TRL's DPOConfig, and of the paper's experiments
_SWITCH = "_disable_adapters"  # of PEFT's layers; their public switch also changes which parameters require gradients
Tokens = list[int]


@dataclass(frozen=True)
class PreferenceTask:
    """Token ids `(batch, 2, time)`, the chosen answer first, with `labels` that are -100 on prompt and padding.

    reference: the model before the training; where it is None, the adapter is switched off instead.
    """

    tokenizer: Any
    max_length: int
    beta: float = BETA
    reference: nn.Module | None = None

    @classmethod
    def from_card(cls, card: ModelCard, tokenizer: Any | None) -> PreferenceTask:
        """Read max_length (1024) and beta (0.1) from the card."""
        if tokenizer is None:
            raise no_tokenizer("A language model")
        max_length = max_length_of(card, 1024)
        beta = card.input.get("beta", BETA)
        if not isinstance(beta, (int, float)) or isinstance(beta, bool) or not 0 < beta < float("inf"):
            raise OgaError(f"'beta' in the model card is DPO's, a number above 0, got {beta!r}.")
        return cls(tokenizer, max_length, float(beta))

    def batch(self, samples: SampleSet, rows: NDArray[np.int64]) -> Batch:
        """Tokenise the pairs; one of which nothing that is trained on is left raises `UntrainedSample`."""
        answers = [answer for row in rows for answer in self._answers(samples.inputs[int(row)])]
        shape = (len(answers), max(len(ids) for ids, _ in answers))
        input_ids = torch.full(shape, self._padding, dtype=torch.long)
        labels = torch.full(shape, IGNORED, dtype=torch.long)
        attention_mask = torch.zeros(shape, dtype=torch.long)
        for i, (ids, start) in enumerate(answers):
            input_ids[i, : len(ids)] = torch.tensor(ids)
            attention_mask[i, : len(ids)] = 1
            labels[i, start : len(ids)] = torch.tensor(ids[start:])
        batch = {"input_ids": input_ids, "attention_mask": attention_mask, "labels": labels}
        return {name: value.unflatten(0, (-1, 2)) for name, value in batch.items()}

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        """The margin of every pair, `(batch,)`: log π(chosen) - log π(rejected), less what the reference gives it."""
        logits = self.logits(model, batch)
        # The reference is a constant, and a late head is multiplied out: what watches the model must see neither.
        with unwatched():
            margins = _margins(logits, batch)
            with torch.no_grad():
                reference = self._reference_margins(model, batch, is_late=head_input(logits) is not None)
        return margins - reference

    def logits(self, model: nn.Module, batch: Batch) -> Tensor:
        """Next-token logits of both answers of every pair, `(2 · batch, time, vocabulary)`."""
        accepted = getattr(model, "input_names", ("input_ids", "attention_mask"))
        names = [name for name in ("input_ids", "attention_mask") if name in accepted]
        return logits_of(model(**{name: batch[name].flatten(0, 1) for name in names}))

    def _reference_margins(self, model: nn.Module, batch: Batch, *, is_late: bool) -> Tensor:
        reference = model
        if self.reference is not None:
            reference = self.reference.to(batch["input_ids"].device)
        # Another kind of model may do something else with its logits than the one that was tried.
        is_late = is_late and type(reference) is type(model)
        switched = nullcontext() if self.reference is not None else without_adapter(model)
        with switched, LateHead(reference) if is_late else nullcontext():
            logits = self.logits(reference, batch)
        return _margins(logits, batch)

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """-log σ(β · margin), `(batch,)`."""
        return -torch.nn.functional.logsigmoid(self.beta * outputs)

    def views(self, batch: Batch) -> list[Batch]:
        """None."""
        return []

    def length(self, samples: SampleSet, row: int) -> int:
        """Characters of the longer answer with its prompt: rows of similar length waste little on padding."""
        content = samples.inputs[row]
        prompt, *answers = (_characters(content[part]) for part in ("prompt", "chosen", "rejected"))
        return prompt + max(answers)

    @cached_property
    def _reader(self) -> RowReader:
        return RowReader(self.tokenizer, "completion")

    @property
    def _padding(self) -> int:
        return next((id for id in (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id) if id is not None), 0)

    def _answers(self, row: Mapping[str, Any]) -> list[tuple[Tokens, int]]:
        """The tokens of prompt and chosen, and of prompt and rejected, and where both answers begin."""
        shared = {key: row[key] for key in ("prompt", "tools", "chat_template_kwargs") if key in row}
        read = [self._reader({**shared, "completion": row[name]}) for name in ("chosen", "rejected")]
        start = min(next((i for i, counts in enumerate(one.trained) if counts), len(one.ids)) for one in read)
        answers = [(one.ids[: self.max_length], max(1, start)) for one in read]
        if any(len(ids) <= first for ids, first in answers):
            raise UntrainedSample(f"nothing of one of its answers is left within {self.max_length} tokens")
        return answers


def _margins(logits: Tensor, batch: Batch) -> Tensor:
    """log π(chosen) - log π(rejected) of every pair, `(batch,)`: sums over the tokens of the answers."""
    losses = next_token_losses(logits, batch["labels"].flatten(0, 1))
    chosen, rejected = losses.sum(dim=1).unflatten(0, (-1, 2)).unbind(1)
    return rejected - chosen


@contextmanager
def without_adapter(model: nn.Module) -> Iterator[None]:
    """Switch the adapter off for a while, its gradients left as they are; raises `OgaError` for a model without one."""
    layers = [module for module in model.modules() if hasattr(module, _SWITCH)]
    if not layers:
        raise OgaError(
            "The loss of a preference pair is measured against the model before the training, and this model has no "
            "adapter that could be switched off. Give the PEFT adapter and its base model instead of the merged model, "
            "or the model before the training as the reference model."
        )
    before = [getattr(layer, _SWITCH) for layer in layers]
    for layer in layers:
        setattr(layer, _SWITCH, True)
    try:
        yield
    finally:
        for layer, switch in zip(layers, before, strict=True):
            setattr(layer, _SWITCH, switch)


def _characters(part: str | Sequence[Mapping[str, Any]]) -> int:
    return len(part) if isinstance(part, str) else sum(len(words(turn)) for turn in part)
