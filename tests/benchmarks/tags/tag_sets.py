"""Tweets with named entities, a tenth of whose tags is flipped, and a small transformer that was tuned on them."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2] / "runs"))

from here import score_here

from oga_core.pipeline.options import ScoreOptions
from oga_core.readers import read_samples
from oga_core.readers.targets import with_tags
from oga_core.runs.folder import RunFolder

FLIPPED = 0.1
SENTENCES = 800
"""Of the tweets, drawn anew for each seed: two cores tune on so many in a few minutes."""
FROZEN = 3
"""Layers from the bottom that are not tuned, for the same reason."""
EPOCHS = 4


@dataclass(frozen=True, eq=False)
class TagSet:
    """A scored run, and which of its words are wrong, one word after the other."""

    run: RunFolder
    wrong: NDArray[np.bool_]


def make_set(conll: Path, encoder: Path, folder: Path, seed: int) -> TagSet:
    """Draw tweets, flip a tenth of their tags, tune the encoder on them and score them.

    conll: a word, a tab and a tag a line. encoder: a folder of transformers. Continues where `folder` has a run.
    """
    samples = with_tags(read_samples(conll), ())
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(samples))[:SENTENCES]
    words = [list(samples.inputs[int(row)].words) for row in rows]
    assert samples.tags is not None
    true = [samples.tags[row] for row in rows]
    shares = np.bincount(np.concatenate(true), minlength=len(samples.class_names)) / sum(map(len, true))
    given = [flipped(tags, shares, rng) for tags in true]
    data = folder / "tweets.jsonl"
    if not (folder / "run" / "run.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        names = samples.class_names
        lines = [
            json.dumps({"tokens": a, "tags": [names[tag] for tag in b]}) for a, b in zip(words, given, strict=True)
        ]
        data.write_text("\n".join(lines) + "\n")
        tuned(encoder, folder / "model", words, given, names, seed)
        score_here(
            data,
            folder / "model",
            folder / "run",
            ScoreOptions(map="none", force=True, scores=("oga", "loss", "l2_norm_sketch", "isolation_forest_sketch")),
        )
    run = RunFolder.open(folder / "run")
    return TagSet(run, np.concatenate([a != b for a, b in zip(true, given, strict=True)]))


def flipped(tags: NDArray[np.int64], shares: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """The tags, each with a chance of a tenth another one, drawn by the shares of all tags.

    Drawn evenly, nearly every rare tag would be wrong, and rarity alone would find them.
    """
    others = np.array([rng.choice(len(shares), p=_without(shares, tag)) for tag in tags])
    return np.where(rng.random(len(tags)) < FLIPPED, others, tags)


def _without(shares: NDArray[np.float64], tag: int) -> NDArray[np.float64]:
    rest = shares.copy()
    rest[tag] = 0
    return rest / rest.sum()


def tuned(
    encoder: Path,
    folder: Path,
    words: list[list[str]],
    tags: list[NDArray[np.int64]],
    names: tuple[str, ...],
    seed: int,
) -> None:
    """Tune as transformers' run_ner does: the tag on the first piece of each word, the rest does not count."""
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    torch.manual_seed(seed)
    tokens = AutoTokenizer.from_pretrained(encoder)
    model = AutoModelForTokenClassification.from_pretrained(
        encoder, dtype=torch.float32, num_labels=len(names), id2label=dict(enumerate(names)),
        label2id={name: i for i, name in enumerate(names)}, ignore_mismatched_sizes=True,
    )  # fmt: skip
    model.bert.embeddings.requires_grad_(False)
    model.bert.encoder.layer[:FROZEN].requires_grad_(False)
    steps = EPOCHS * (len(words) // 32 + 1)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-4, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, steps)
    for epoch in range(EPOCHS):
        total = 0.0
        for rows in torch.randperm(len(words)).split(32):
            batch = tokens([words[i] for i in rows], is_split_into_words=True, padding=True, truncation=True,
                           max_length=128, return_tensors="pt")  # fmt: skip
            labels = torch.tensor([labelled(batch.word_ids(k), tags[i]) for k, i in enumerate(rows.tolist())])
            optimiser.zero_grad()
            loss = model(**batch, labels=labels).loss
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch}: loss {total / (steps / EPOCHS):.3f}", file=sys.stderr, flush=True)
    model.requires_grad_(True)
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)


def labelled(word_ids: list[Any], tags: NDArray[np.int64]) -> list[int]:
    before = [None, *word_ids]
    return [
        -100 if word is None or word == last else int(tags[word]) for word, last in zip(word_ids, before, strict=False)
    ]
