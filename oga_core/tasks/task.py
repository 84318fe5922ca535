"""The one seam for everything that depends on the modality."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oga_core.errors import OgaError
from oga_core.models.refusals import panics_as_errors, reason
from oga_core.samples import SampleSet, UnreadableSample

if TYPE_CHECKING:
    from oga_core.models.card import ModelCard

Batch = dict[str, Tensor]
LONGEST = 1_000_000  # tokens of a row: more than any model reads, and few enough to hold a padded one


class Task(Protocol):
    """Turns samples into tensors, runs the model on them, and gives one loss a sample."""

    def batch(self, samples: SampleSet, rows: NDArray[np.int64]) -> Batch:
        """Return model inputs and `labels` for the samples at `rows`, on the CPU.

        Raises `UnreadableSample` when one of them cannot be decoded.
        """
        ...

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        """Run the model: logits `(batch, n_classes)`, or `(batch, time, vocabulary)` for language models."""
        ...

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the loss of every sample, `(batch,)`, differentiable."""
        ...

    def views(self, batch: Batch) -> list[Batch]:
        """Return test-time views of the batch (flips, shifts), none where the modality has none."""
        ...


@runtime_checkable
class TokenTask(Task, Protocol):
    """A task whose loss is a mean over tokens; its `labels` are `(batch, time)`, -100 where none is counted."""

    def token_losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the loss of every token but the first, `(batch, time - 1)`, zero where it is not counted."""
        ...

    def mean_losses(self, token_losses: Tensor, batch: Batch) -> Tensor:
        """Return the loss of every sample, `(batch,)`."""
        ...


@runtime_checkable
class PromptTask(TokenTask, Protocol):
    """A task whose rows can be taken apart into prompt and response."""

    def without_prompt(self, batch: Batch) -> Batch:
        """Return the rows from the first counted token on."""
        ...


@runtime_checkable
class PairTask(Task, Protocol):
    """A task whose outputs are made of a language model's logits, and are none themselves."""

    def logits(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return next-token logits, `(rows, time, vocabulary)`."""
        ...


def classification_losses(outputs: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy on the given labels, `(batch,)`."""
    return torch.nn.functional.cross_entropy(outputs.float(), batch["labels"], reduction="none")


def max_length_of(card: ModelCard, default: int) -> int:
    """Return the card's max_length, a number of tokens from 2 to `LONGEST`."""
    max_length = card.input.get("max_length", default)
    if not isinstance(max_length, int) or not 2 <= max_length <= LONGEST:
        raise OgaError(
            f"'max_length' in the model card must be a number of tokens from 2 to {LONGEST:,}, got {max_length!r}."
        )
    return max_length


def no_tokenizer(what: str) -> OgaError:
    """Return the error for a model that came without its tokenizer."""
    return OgaError(
        f"{what} needs its tokenizer. Beside Hugging Face weights: tokenizer.save_pretrained(folder). For a .pt2 file: "
        "oga_core.package_model(…, tokenizer=tokenizer), or put the .pt2 file and the tokenizer's files into one "
        "folder (or a zip of it) and give that."
    )


def tokenized(tokenizer: Any, *texts: Any, **options: Any) -> Any:
    """Call a tokenizer; what it raises for these texts, panics included, becomes `UnreadableSample`."""
    try:
        with panics_as_errors():
            return tokenizer(*texts, **options)
    except Exception as error:  # tokenizer libraries raise anything, down to bare Exception
        raise UnreadableSample(f"the tokenizer fails on the text: {reason(error)}") from None
