"""Fine-tuning data of encoder-decoder models: the encoder reads the prompt, the decoder is trained on the completion.

As transformers' Seq2SeqTrainer with its examples' preparation: prompt and completion are tokenised each with the
special tokens that the tokenizer adds, and cut each at max_length; the model itself shifts the labels to the decoder's
inputs, after its start token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oga_core.errors import OgaError, UntrainedSample
from oga_core.models.packaging.logits import logits_of
from oga_core.samples import SampleSet
from oga_core.tasks.causal_lm import CausalLMTask
from oga_core.tasks.language.late_head import IGNORED
from oga_core.tasks.language.survey import survey
from oga_core.tasks.language.tokens import RowTokens
from oga_core.tasks.task import Batch, tokenized
from oga_core.worker.stages import Progress


@dataclass(frozen=True)
class PairReader:
    """Makes the tokens of rows of a prompt and a completion: the encoder's, then those the decoder is trained on."""

    tokenizer: Any
    max_length: int
    trained_on: str | None = None

    def __call__(self, row: Mapping[str, Any]) -> RowTokens:
        """Return the tokens of both, what is beyond max_length left out and remarked."""
        source, target, remarks = self.pair(row)
        # One token stands for the decoder's start, before which nothing is predicted.
        return RowTokens([*source, *target], [False] * len(source) + [True] * len(target), "completion", remarks)

    def pair(self, row: Mapping[str, Any]) -> tuple[list[int], list[int], dict[str, int]]:
        """Return the encoder's tokens, the decoder's targets and the remarks on the row. Raises `OgaError`."""
        if not isinstance(row.get("prompt"), str) or not isinstance(row.get("completion"), str):
            raise OgaError(
                "The model has an encoder and a decoder, which are trained on a prompt and a completion, and the rows "
                "are texts or conversations. Give rows with 'prompt' and 'completion'."
            )
        remarks = dict.fromkeys(row.get("ignored", ()), 1)
        source = self._cut("a prompt", remarks, row["prompt"])
        target = self._cut("a completion", remarks, text_target=row["completion"])
        if not source or not target:
            raise UntrainedSample("its prompt or its completion has no tokens")
        return source, target, remarks

    def _cut(self, what: str, remarks: dict[str, int], *texts: str, **options: Any) -> list[int]:
        ids: list[int] = tokenized(self.tokenizer, *texts, **options)["input_ids"]
        if len(ids) <= self.max_length:
            return ids
        remarks[f"{what} of more than {self.max_length:,} tokens, which is cut"] = 1
        how = {"truncation": True, "max_length": self.max_length}
        cut: list[int] = tokenized(self.tokenizer, *texts, **options, **how)["input_ids"]
        return cut


@dataclass(frozen=True)
class Seq2SeqTask(CausalLMTask):
    """The decoder's `input_ids` and `labels` as a causal model's, after a start token; the encoder's `prompt_ids`."""

    def batch(self, samples: SampleSet, rows: NDArray[np.int64]) -> Batch:
        """Tokenise the rows; padding is on the right of both."""
        pairs = [self._pair(samples, int(row)) for row in rows]
        prompts = _padded([source for source, _ in pairs], self._padding)
        # The model puts its own start token there; nothing is predicted of it.
        targets = _padded([[self._padding, *target] for _, target in pairs], self._padding)
        labels = _padded([[IGNORED, *target] for _, target in pairs], IGNORED)
        return {
            "input_ids": targets,
            "attention_mask": _mask([target for _, target in pairs], 1),
            "labels": labels,
            "prompt_ids": prompts,
            "prompt_mask": _mask([source for source, _ in pairs], 0),
        }

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        """Next-token logits of the decoder `(batch, time, vocabulary)`."""
        shift: Any = getattr(model, "prepare_decoder_input_ids_from_labels", None)
        ids = batch["input_ids"]
        if shift is not None:
            targets = torch.cat([ids[:, 1:], ids[:, -1:]], 1)
            ids = shift(labels=targets)
        read = {"input_ids": batch["prompt_ids"], "attention_mask": batch["prompt_mask"]}
        return logits_of(model(**read, decoder_input_ids=ids))

    def without_prompt(self, batch: Batch) -> Batch:
        """The rows with an encoder that reads nothing but the end of a text."""
        end = self.tokenizer.eos_token_id
        empty = torch.full_like(batch["prompt_ids"][:, :1], self._padding if end is None else int(end))
        return {**batch, "prompt_ids": empty, "prompt_mask": torch.ones_like(empty)}

    def survey(self, samples: SampleSet, progress: Progress) -> dict[str, Any]:
        """Return what of all rows is trained on; what is cut is among the remarks."""
        counts = survey(self.tokens, self.trained_on, 2 * self.max_length, samples, progress)
        return counts | {"max_length": self.max_length}

    def length(self, samples: SampleSet, row: int) -> int:
        """Tokens of both."""
        return len(self.tokens(samples, row).ids)

    def _pair(self, samples: SampleSet, row: int) -> tuple[list[int], list[int]]:
        """The encoder's tokens and the decoder's targets."""
        tokens = self.tokens(samples, row)
        start = len(tokens.trained) - sum(tokens.trained)
        return tokens.ids[:start], tokens.ids[start:]

    @cached_property
    def reader(self) -> Any:
        """Makes the tokens of a row."""
        return PairReader(self.tokenizer, self.max_length, self.trained_on)


def _padded(rows: list[list[int]], padding: int) -> Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [padding] * (longest - len(row)) for row in rows])


def _mask(rows: list[list[int]], more: int) -> Tensor:
    return _padded([[1] * (len(row) + more) for row in rows], 0)
