"""Fine-tuning data of causal language models: the tokens that a trainer sees, and the loss on those it trains on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oga_core.errors import UntrainedSample, unknown
from oga_core.models.card import TRAINED_ON, ModelCard
from oga_core.models.packaging.logits import logits_of
from oga_core.samples import SampleSet
from oga_core.tasks.language.kept import KeptTokens
from oga_core.tasks.language.late_head import IGNORED, next_token_losses
from oga_core.tasks.language.survey import survey
from oga_core.tasks.language.tokens import RowReader, RowTokens
from oga_core.tasks.task import Batch, max_length_of, no_tokenizer
from oga_core.worker.stages import Progress


@dataclass(frozen=True)
class CausalLMTask:
    """Token ids `(batch, time)` with `labels` that are -100 on what is not trained on and on padding."""

    tokenizer: Any
    max_length: int
    fixed_length: bool = False
    trained_on: str | None = None

    @classmethod
    def from_card(cls, card: ModelCard, tokenizer: Any | None) -> CausalLMTask:
        """Read max_length (1024), fixed_length (false) and trained_on (as the rows are) from the card."""
        if tokenizer is None:
            raise no_tokenizer("A language model")
        max_length = max_length_of(card, 1024)
        trained_on = card.input.get("trained_on")
        if trained_on is not None and trained_on not in TRAINED_ON:
            raise unknown("'trained_on' in the model card:", trained_on, TRAINED_ON)
        return cls(tokenizer, max_length, card.input.get("fixed_length") is True, trained_on)

    def batch(self, samples: SampleSet, rows: NDArray[np.int64]) -> Batch:
        """Tokenise the rows; one of which nothing that is trained on is left raises `UntrainedSample`."""
        pairs = [self._kept(samples, int(row)) for row in rows]
        longest = self.max_length if self.fixed_length else max(len(tokens) for tokens, _ in pairs)
        input_ids = torch.full((len(pairs), longest), self._padding, dtype=torch.long)
        labels = torch.full((len(pairs), longest), IGNORED, dtype=torch.long)
        attention_mask = torch.zeros((len(pairs), longest), dtype=torch.long)
        for i, (tokens, targets) in enumerate(pairs):
            input_ids[i, : len(tokens)] = torch.tensor(tokens)
            attention_mask[i, : len(tokens)] = 1
            labels[i, : len(tokens)] = torch.tensor(targets)
        return {"input_ids": input_ids, "attention_mask": attention_mask, "labels": labels}

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        """Next-token logits `(batch, time, vocabulary)`."""
        accepted = getattr(model, "input_names", ("input_ids", "attention_mask"))
        return logits_of(model(**{name: batch[name] for name in ("input_ids", "attention_mask") if name in accepted}))

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Mean cross-entropy over the tokens that are trained on, `(batch,)`."""
        return self.mean_losses(self.token_losses(outputs, batch), batch)

    def token_losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy of every token but the first, `(batch, time - 1)`, zero where it is not trained on."""
        return next_token_losses(outputs, batch["labels"])

    def mean_losses(self, token_losses: Tensor, batch: Batch) -> Tensor:
        """Mean over the tokens that are trained on, `(batch,)`."""
        return token_losses.sum(dim=1) / (batch["labels"][:, 1:] != IGNORED).sum(dim=1)

    def without_prompt(self, batch: Batch) -> Batch:
        """The rows from the first trained token on, after one token that begins a text."""
        labels = batch["labels"]
        start = (labels[:, 1:] != IGNORED).int().argmax(dim=1, keepdim=True)
        positions = start + torch.arange(labels.shape[1], device=labels.device)
        inside = positions < labels.shape[1]
        shifted = {name: value.gather(1, positions.clamp(max=labels.shape[1] - 1)) for name, value in batch.items()}
        shifted["input_ids"][:, 0] = self._beginning
        shifted["attention_mask"] *= inside
        shifted["labels"][~inside] = IGNORED
        longest = labels.shape[1] if self.fixed_length else int(shifted["attention_mask"].sum(dim=1).max())
        return {name: value[:, :longest] for name, value in shifted.items()}

    def views(self, batch: Batch) -> list[Batch]:
        """None."""
        return []

    def length(self, samples: SampleSet, row: int) -> int:
        """Tokens that the model sees of the row: batches of rows of the same length waste nothing on padding."""
        return self.max_length if self.fixed_length else min(len(self.tokens(samples, row).ids), self.max_length)

    def survey(self, samples: SampleSet, progress: Progress) -> dict[str, Any]:
        """Return what of all rows is trained on, cut, dropped and ignored, by the names of run.json."""
        return survey(self.tokens, self.trained_on, self.max_length, samples, progress)

    @cached_property
    def reader(self) -> RowReader:
        """Makes the tokens of a row and says which are trained on, before anything is cut."""
        return RowReader(self.tokenizer, self.trained_on)

    @cached_property
    def tokens(self) -> KeptTokens:
        """Returns the tokens of a data set's row, made once."""
        return KeptTokens(self.reader)

    @property
    def _beginning(self) -> int:
        begin = self.tokenizer.bos_token_id
        return self._padding if begin is None else int(begin)

    @property
    def _padding(self) -> int:
        return next(
            (token for token in (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id) if token is not None), 0
        )

    def _kept(self, samples: SampleSet, row: int) -> tuple[list[int], list[int]]:
        """The tokens of a row that the model sees, and their labels."""
        tokens = self.tokens(samples, row)
        ids = tokens.ids[: self.max_length]
        trained = tokens.trained[: self.max_length]
        # The first token has none before it to be predicted from.
        if not any(trained[1:]):
            raise UntrainedSample(_untrained(tokens, self.max_length))
        return ids, [token if counts else IGNORED for token, counts in zip(ids, trained, strict=True)]


def _untrained(tokens: RowTokens, max_length: int) -> str:
    if any(tokens.trained[1:]):
        return f"none of its first {max_length} tokens is trained on"
    return "none of its tokens is trained on"
