"""Fine-tuning data of causal language models: the loss counts the response only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oga_core.errors import OgaError
from oga_core.models.card import ModelCard
from oga_core.models.refusals import reason
from oga_core.samples import SampleSet, UnreadableSample
from oga_core.tasks.cross_entropy import token_losses
from oga_core.tasks.task import Batch, first_output, no_tokenizer, tokenized

IGNORED = -100


@dataclass(frozen=True)
class CausalLMTask:
    """Token ids `(batch, time)` with `labels` that are -100 on prompt and padding."""

    tokenizer: Any
    max_length: int
    fixed_length: bool = False

    @classmethod
    def from_card(cls, card: ModelCard, tokenizer: Any | None) -> CausalLMTask:
        """Read max_length (1024) and fixed_length (false) from the card."""
        if tokenizer is None:
            raise no_tokenizer("A language model")
        max_length = card.input.get("max_length", 1024)
        if not isinstance(max_length, int) or max_length < 2:
            raise OgaError(f"'max_length' in the model card must be a number of tokens, 2 or more, got {max_length!r}.")
        return cls(tokenizer, max_length, card.input.get("fixed_length") is True)

    def batch(self, samples: SampleSet, rows: NDArray[np.int64]) -> Batch:
        """Tokenise the rows; a row whose response is cut away whole is unreadable."""
        pairs = [self._tokens(samples.inputs[int(row)]) for row in rows]
        longest = self.max_length if self.fixed_length else max(len(tokens) for tokens, _ in pairs)
        input_ids = torch.full((len(pairs), longest), self._padding, dtype=torch.long)
        labels = torch.full((len(pairs), longest), IGNORED, dtype=torch.long)
        attention_mask = torch.zeros((len(pairs), longest), dtype=torch.long)
        for i, (tokens, response_start) in enumerate(pairs):
            input_ids[i, : len(tokens)] = torch.tensor(tokens)
            attention_mask[i, : len(tokens)] = 1
            labels[i, response_start : len(tokens)] = torch.tensor(tokens[response_start:])
        return {"input_ids": input_ids, "attention_mask": attention_mask, "labels": labels}

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        """Next-token logits `(batch, time, vocabulary)`."""
        accepted = getattr(model, "input_names", ("input_ids", "attention_mask"))
        return first_output(
            model(**{name: batch[name] for name in ("input_ids", "attention_mask") if name in accepted})
        )

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Mean cross-entropy over the response's tokens, `(batch,)`."""
        return self.mean_losses(self.token_losses(outputs, batch), batch)

    def token_losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy of every token but the first, `(batch, time - 1)`, zero outside of the response."""
        targets = batch["labels"][:, 1:]
        return token_losses(outputs[:, :-1].flatten(0, 1), targets.flatten(), IGNORED).view_as(targets)

    def mean_losses(self, token_losses: Tensor, batch: Batch) -> Tensor:
        """Mean over the response's tokens, `(batch,)`."""
        return token_losses.sum(dim=1) / (batch["labels"][:, 1:] != IGNORED).sum(dim=1)

    def without_prompt(self, batch: Batch) -> Batch:
        """The rows from the first trained token on, after one token that begins a text."""
        labels = batch["labels"]
        start = (labels != IGNORED).int().argmax(dim=1, keepdim=True) - 1
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
        """Characters of prompt and response: batches of rows of similar length waste little on padding."""
        content = samples.inputs[row]
        if "messages" in content:
            return sum(len(message["content"]) for message in content["messages"])
        return sum(len(content.get(part, "")) for part in ("prompt", "completion", "text"))

    @property
    def _beginning(self) -> int:
        begin = self.tokenizer.bos_token_id
        return self._padding if begin is None else int(begin)

    @property
    def _padding(self) -> int:
        return next(
            (token for token in (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id) if token is not None), 0
        )

    def _tokens(self, row: Mapping[str, Any]) -> tuple[list[int], int]:
        """Token ids and the position at which the response begins, at least 1."""
        prompt, whole = self._prompt_and_whole(row)
        prompt_tokens = self._ids(prompt) if prompt else []
        response = whole[len(prompt) :]
        end = [self.tokenizer.eos_token_id] if self.tokenizer.eos_token_id is not None else []
        tokens = (prompt_tokens + self._ids(response) + end)[: self.max_length]
        start = max(1, len(prompt_tokens))
        if len(tokens) <= start:
            raise UnreadableSample(f"no response left within {self.max_length} tokens")
        return tokens, start

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = tokenized(self.tokenizer, text, add_special_tokens=False)["input_ids"]
        return ids

    def _prompt_and_whole(self, row: Mapping[str, Any]) -> tuple[str, str]:
        if "messages" in row:
            return self._conversation(row["messages"])
        if "completion" in row:
            return row["prompt"], row["prompt"] + row["completion"]
        return "", row["text"]

    def _conversation(self, messages: list[Mapping[str, str]]) -> tuple[str, str]:
        if not messages:
            raise UnreadableSample("the conversation is empty")
        if self.tokenizer.chat_template:
            whole = self._templated(messages)
            prompt = self._templated(messages[:-1], add_generation_prompt=True) if len(messages) > 1 else ""
            if whole.startswith(prompt):
                return prompt, whole
        turns = [f"{message['role']}: {message['content']}\n" for message in messages]
        prompt = "".join(turns[:-1]) + f"{messages[-1]['role']}: "
        return prompt, "".join(turns)

    def _templated(self, messages: list[Mapping[str, str]], **options: Any) -> str:
        from jinja2 import TemplateSyntaxError

        try:
            return str(self.tokenizer.apply_chat_template(messages, tokenize=False, **options))
        except TemplateSyntaxError as error:
            raise OgaError(
                f"The tokenizer's chat template is no valid template (line {error.lineno}: {error.message}). Correct "
                "it and save it again: tokenizer.chat_template = …; tokenizer.save_pretrained(folder)."
            ) from None
        except Exception as error:  # templates are programs of somebody else's, and refuse rows with any exception
            raise UnreadableSample(f"the tokenizer's chat template refuses the conversation: {reason(error)}") from None
