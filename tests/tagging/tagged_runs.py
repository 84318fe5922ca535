"""Made-up sentences with entities, a tenth of whose tags is wrong, and a small tagger that was trained on them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from here import score_here
from torch import nn
from transformers import BertConfig, BertForTokenClassification, BertTokenizerFast

from oga_core.pipeline.options import ScoreOptions
from oga_core.runs.folder import RunFolder

N_SENTENCES = 160
TAGS = ("O", "B-PER", "B-LOC", "I-LOC")
PEOPLE = ("ann", "bob", "may", "georgia")
PLACES = (("paris",), ("new", "york"), ("georgia",))
VERBS = ("visited", "left", "likes", "knows")
ENDS = (("in", "may"), ("again",), ("for", "new", "shoes"), ())
WORDS = sorted({*PEOPLE, *(word for place in PLACES for word in place), *VERBS, *(w for end in ENDS for w in end), "."})


@dataclass(frozen=True)
class Tagged:
    """Sentences as lists of words, their tags as they should be, and as they are given."""

    words: list[list[str]]
    true: list[list[str]]
    given: list[list[str]]

    @property
    def wrong(self) -> list[list[bool]]:
        return [
            [a != b for a, b in zip(true, given, strict=True)]
            for true, given in zip(self.true, self.given, strict=True)
        ]


def sentences(seed: int = 0, n: int = N_SENTENCES, wrong: float = 0.1) -> Tagged:
    rng = np.random.default_rng(seed)
    result = Tagged([], [], [])
    for _ in range(n):
        person = PEOPLE[rng.integers(len(PEOPLE))]
        place = PLACES[rng.integers(len(PLACES))]
        end = ENDS[rng.integers(len(ENDS))]
        tags = ["B-PER", "O", "B-LOC", *["I-LOC"] * (len(place) - 1), *["O"] * len(end), "O"]
        given = [TAGS[(TAGS.index(tag) + rng.integers(1, 4)) % 4] if rng.random() < wrong else tag for tag in tags]
        result.words.append([person, VERBS[rng.integers(len(VERBS))], *place, *end, "."])
        result.true.append(tags)
        result.given.append(given)
    return result


def tokenizer(folder: Path) -> BertTokenizerFast:
    """A tokenizer that cuts some words into two pieces."""
    folder.mkdir(exist_ok=True)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "geo", "##rgia", "vis", "##ited"]
    vocabulary = [*pieces, *(word for word in WORDS if word not in ("georgia", "visited"))]
    path = folder / "vocab.txt"
    path.write_text("\n".join(vocabulary))
    return BertTokenizerFast(vocab=str(path), model_max_length=32)


def save_tagger(folder: Path, data: Tagged, epochs: int = 12) -> Path:
    """Train a tagger as `run_ner` does and save it as transformers does."""
    tokens = tokenizer(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokens), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=32, id2label=dict(enumerate(TAGS)), label2id={tag: i for i, tag in enumerate(TAGS)},
    )  # fmt: skip
    model = BertForTokenClassification(config)
    batch = tokens(data.words, is_split_into_words=True, padding=True, return_tensors="pt")
    labels = torch.tensor(aligned(batch, data.given))
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(labels)).split(32):
            optimiser.zero_grad()
            model(**{name: value[rows] for name, value in batch.items()}, labels=labels[rows]).loss.backward()
            optimiser.step()
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


def aligned(batch: Any, tags: list[list[str]]) -> list[list[int]]:
    """The tag of each word on its first piece, as in transformers' run_ner."""
    rows = []
    for i, names in enumerate(tags):
        ids = batch.word_ids(i)
        firsts = [word is not None and word not in ids[:at] for at, word in enumerate(ids)]
        rows.append([TAGS.index(names[word]) if first else -100 for word, first in zip(ids, firsts, strict=True)])
    return rows


def write_jsonl(path: Path, data: Tagged) -> Path:
    rows = zip(data.words, data.given, strict=True)
    lines = [json.dumps({"id": f"s{i}", "tokens": words, "tags": tags}) for i, (words, tags) in enumerate(rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_conll(path: Path, data: Tagged) -> Path:
    blocks = [
        "".join(f"{word}\t{tag}\n" for word, tag in zip(words, tags, strict=True))
        for words, tags in zip(data.words, data.given, strict=True)
    ]
    path.write_text("\n".join(blocks))
    return path


class PlainTagger(nn.Module):
    """A tagger that is no transformer: an embedding and a recurrent layer in both directions."""

    def __init__(self, n_words: int):
        super().__init__()
        self.embedding = nn.Embedding(n_words, 12)
        self.layer = nn.Linear(12, 16)
        self.head = nn.Linear(16, len(TAGS))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        hidden = self.embedding(input_ids) * attention_mask.unsqueeze(-1)
        return self.head(torch.tanh(self.layer(hidden)))


def make_run(folder: Path, data: Path, model: Path, **options: object) -> RunFolder:
    return score_here(data, model, folder / "run", ScoreOptions(map="pca", **options))  # type: ignore[arg-type]
