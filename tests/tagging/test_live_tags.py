"""Taggers in memory: scored word by word as from their folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from here import score_here
from tagged_runs import TAGS, PlainTagger, aligned, save_tagger, sentences, tokenizer, write_jsonl
from transformers import BertForTokenClassification

import oga_core as oga
from oga_core.errors import OgaError
from oga_core.pipeline.options import ScoreOptions
from oga_core.scores.tagging.word_scores import WordScores

DATA = sentences(n=40)


def items(folder: Path) -> list[dict[str, torch.Tensor]]:
    """The sentences as transformers' run_ner feeds them."""
    batch = tokenizer(folder)(DATA.words, is_split_into_words=True, padding=True, return_tensors="pt")
    labels = torch.tensor(aligned(batch, DATA.given))
    return [
        {"input_ids": ids, "attention_mask": mask, "labels": tags}
        for ids, mask, tags in zip(batch["input_ids"], batch["attention_mask"], labels, strict=True)
    ]


def test_a_tagger_of_transformers_is_scored_as_from_its_folder(tmp_path: Path) -> None:
    folder = save_tagger(tmp_path / "model", DATA, epochs=2)
    options = {"map": "none", "scores": ("oga", "loss", "l2_norm_sketch")}
    filed = score_here(write_jsonl(tmp_path / "s.jsonl", DATA), folder, tmp_path / "filed", ScoreOptions(**options))
    model = BertForTokenClassification.from_pretrained(folder)
    live = oga.score(model, items(folder), tmp_path / "live", tokenizer=tokenizer(folder), **options)
    assert (live.info.target, live.info.label_names, live.info.loss) == ("tags", TAGS, {"name": "token_cross_entropy"})
    assert [list(sentence.words) for sentence in live.samples.inputs] == DATA.words
    assert live.table["given_label"].tolist() == [" | ".join(tags) for tags in DATA.given]
    for score in ("score_loss", "score_l2_norm_sketch", "score_oga"):
        np.testing.assert_allclose(live.table[score], filed.table[score], rtol=1e-3, atol=1e-5)
    scores = [WordScores.load(run.path).scores for run in (live, filed)]
    np.testing.assert_allclose(*scores, rtol=1e-3, atol=1e-3)
    live.decide(str(live.table["sample_id"][0]), relabel=" | ".join(["O"] * len(DATA.given[0])))


def test_a_tagger_of_ones_own_is_named_by_its_loss(tmp_path: Path) -> None:
    rows = items(tmp_path / "tokens")
    model = PlainTagger(len(tokenizer(tmp_path / "tokens")))
    options = {"loss": "token_cross_entropy", "map": "none", "scores": "loss"}
    run = oga.score(model, rows, tmp_path / "run", classes=TAGS, **options)
    assert (run.info.target, len(run.table)) == ("tags", 40)
    assert all(word.isdecimal() for word in run.samples.inputs[0].words), "without a tokenizer they have numbers"
    with pytest.raises(OgaError, match="The dataset has the tag 3, but 2 are named"):
        oga.score(model, rows, tmp_path / "few", classes=TAGS[:2], **options)
    with pytest.raises(OgaError, match="need 'input_ids' and 'labels' of the same length"):
        oga.score(model, [(torch.zeros(3), 1)] * 4, tmp_path / "no", classes=TAGS, **options)
