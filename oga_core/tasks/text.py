"""Texts and pairs of them, by a Hugging Face tokenizer: a class, a number or several labels each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from oga_core.models.card import ModelCard
from oga_core.models.packaging.logits import logits_of
from oga_core.samples import SampleSet, UnreadableSample
from oga_core.tasks.losses import PLAIN, Loss, labels_at
from oga_core.tasks.task import Batch, max_length_of, no_tokenizer, tokenized

_MODEL_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


@dataclass(frozen=True)
class TextTask:
    """Token ids, cut at `max_length` tokens, padded to the longest text of the batch or all to that length."""

    tokenizer: Any
    max_length: int
    fixed_length: bool = False
    loss: Loss = PLAIN

    @classmethod
    def from_card(cls, card: ModelCard, tokenizer: Any | None) -> TextTask:
        """Read max_length (128) and fixed_length (false) from the card."""
        if tokenizer is None:
            raise no_tokenizer("A text model")
        max_length = max_length_of(card, 128)
        return cls(tokenizer, max_length, card.input.get("fixed_length") is True, Loss.from_card(card))

    def batch(self, samples: SampleSet, rows: NDArray[np.int64]) -> Batch:
        """Tokenise the texts or pairs of texts at `rows`; a text without a token is unreadable."""
        texts = [samples.inputs[int(row)] for row in rows]
        first = [text if isinstance(text, str) else text[0] for text in texts]
        second = None if all(isinstance(text, str) for text in texts) else [text[1] for text in texts]
        padding = "max_length" if self.fixed_length else "longest"
        tokens = tokenized(self.tokenizer, first, second, padding=padding, truncation=True, max_length=self.max_length)
        # Padding alone is no text: its attention has nothing to look at, so its loss would mean nothing.
        if not all(map(any, tokens.get("attention_mask", tokens["input_ids"]))):
            raise UnreadableSample("the text has no tokens: it is blank, or the tokenizer leaves all of it out")
        return {**tokens.convert_to_tensors("pt"), "labels": labels_at(samples, rows)}

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        """Logits `(batch, n_classes)`, or one number a sample, `(batch, 1)`."""
        accepted = getattr(model, "input_names", _MODEL_INPUTS)
        inputs = {name: batch[name] for name in _MODEL_INPUTS if name in batch and name in accepted}
        return self.loss.columns(logits_of(model(**inputs)))

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The card's loss on the given labels, `(batch,)`."""
        return self.loss(outputs, batch["labels"])

    def views(self, batch: Batch) -> list[Batch]:
        """None: a text has no views that keep its meaning."""
        return []

    def length(self, samples: SampleSet, row: int) -> int:
        """Characters of one text: batches of texts of similar length waste little on padding."""
        text = samples.inputs[row]
        return len(text) if isinstance(text, str) else len(text[0]) + len(text[1])
