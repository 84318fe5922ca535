"""Live models that tag words: which tokens are words, what they are called, and how sentences are kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oga_core.errors import OgaError
from oga_core.files import write_whole
from oga_core.live.dataset import LiveData
from oga_core.live.task import LiveTask
from oga_core.readers import read_samples
from oga_core.readers.targets import with_tags
from oga_core.samples import SampleSet, Target
from oga_core.tasks.losses import Loss
from oga_core.tasks.tags import form_of
from oga_core.tasks.task import Batch

TOKEN_CROSS_ENTROPY = "token_cross_entropy"
_OURS = ("word_places", "word_forms")


@dataclass(frozen=True)
class LiveTags(LiveTask):
    """Sentences whose words have a tag each: the label stands at a word's first token, and -100 everywhere else.

    tokenizer: by which words are read off their tokens; without one a word is the number of its first token.
    """

    target: Target | None = "tags"
    tokenizer: Any = None

    @classmethod
    def of_model(cls, data: LiveData, loss: Any, model: nn.Module, tokenizer: Any) -> LiveTask:
        """Return the task of a tagger, as transformers calls it or as the loss says; else that of the loss."""
        if loss == TOKEN_CROSS_ENTROPY or type(model).__name__.endswith("ForTokenClassification"):
            first = data.batch([0])
            if "input_ids" not in first or first["labels"].shape != first["input_ids"].shape:
                raise OgaError(
                    "The items of a model that tags words need 'input_ids' and 'labels' of the same length: the tag at "
                    "the first token of each word, -100 at all others."
                )
            return cls(data, Loss(TOKEN_CROSS_ENTROPY), tokenizer=tokenizer)
        return LiveTask.of(data, loss)

    def batch(self, samples: SampleSet, rows: NDArray[np.int64]) -> Batch:
        """Return the items at `rows`, with the places and forms of their words as `TagTask` has them."""
        batch = self.data.batch(samples.row_numbers[rows])
        begins = batch["labels"] >= 0
        places = (begins.cumsum(1) - 1).where(begins, -1)
        forms = torch.zeros_like(places)
        for row, words in enumerate(map(self.words, batch["input_ids"], batch["labels"])):
            forms[row, begins[row]] = torch.tensor([form_of(word) for word in words], dtype=forms.dtype)
        return {**batch, "word_places": places, "word_forms": forms}

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        """Run the model: logits `(batch, time, n_tags)`."""
        return super().outputs(model, {name: value for name, value in batch.items() if name not in _OURS})

    def words(self, ids: Tensor, labels: Tensor) -> list[str]:
        """The words that have a tag, each from its token to the next that has one."""
        starts = torch.nonzero(labels >= 0)[:, 0].tolist()
        if self.tokenizer is None:
            return [str(int(ids[start])) for start in starts]
        ends = [*starts[1:], len(ids)]
        pieces = [ids[start:end].tolist() for start, end in zip(starts, ends, strict=True)]
        return [self.tokenizer.decode(piece, skip_special_tokens=True).strip() or str(piece[0]) for piece in pieces]

    def kept(self, path: Path, names: Sequence[str]) -> SampleSet:
        """Write the sentences with the names of their tags, and read them back as any data set."""
        path.parent.mkdir(parents=True, exist_ok=True)

        def write(temporary: Path) -> None:
            with temporary.open("w", encoding="utf-8") as file:
                for i in range(len(self.data)):
                    batch = self.data.batch([i])
                    labels = batch["labels"][0]
                    tags = [names[tag] for tag in labels[labels >= 0].tolist()]
                    row = {"tokens": self.words(batch["input_ids"][0], labels), "tags": tags}
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")

        write_whole(path, write)
        return with_tags(read_samples(path, modality="text"), names)

    def names(self, model: nn.Module, classes: Sequence[str] | None) -> tuple[str, ...]:
        """The names of the tags: as given, else as the model's configuration has them."""
        labels = getattr(getattr(model, "config", None), "id2label", None) or {}
        names = tuple(map(str, classes or [labels[number] for number in sorted(labels)]))
        highest = max(int(self.data.batch([i])["labels"].max()) for i in range(len(self.data)))
        if highest >= len(names):
            raise OgaError(
                f"The dataset has the tag {highest}, but {len(names)} are named. Give classes=[…], each tag."
            )
        return names
