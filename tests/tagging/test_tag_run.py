"""A model that tags words, from its folder to losses, gradients and words in the run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from export_runs import export_here
from sklearn.metrics import average_precision_score
from tagged_runs import TAGS, PlainTagger, Tagged, make_run, save_tagger, sentences, tokenizer, write_conll, write_jsonl
from transformers import BertForTokenClassification

from oga_core import open_run, package_model, per_sample_gradients
from oga_core.errors import OgaError
from oga_core.models import load_model
from oga_core.readers import read_samples
from oga_core.runs.folder import RunFolder
from oga_core.runs.scored import ScoredRun
from oga_core.runs.words import result_in_words
from oga_core.scores.tagging.counts import left_out_counts
from oga_core.scores.tagging.evidence import weights_of, wrong_tags
from oga_core.scores.tagging.word_scores import WordScores
from oga_core.tasks.prepare import prepare

DATA = sentences()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tagger(tmp_path_factory.mktemp("tagger") / "model", DATA)


@pytest.fixture(scope="module")
def run(model: Path) -> RunFolder:
    scores = ("oga", "loss", "l2_norm_sketch", "isolation_forest_sketch")
    return make_run(model.parent, write_jsonl(model.parent / "sentences.jsonl", DATA), model, scores=scores)


def test_losses_are_those_of_transformers(run: RunFolder, model: Path) -> None:
    """Of one sentence transformers' mean over the counted tokens is ours over the words."""
    reference = BertForTokenClassification.from_pretrained(model).eval()
    tokens = tokenizer(model)
    sketch = run.gradient_sketch()
    for i in (0, 3, 11):
        batch = tokens([DATA.words[i]], is_split_into_words=True, return_tensors="pt")
        ids = batch.word_ids(0)
        labels = [
            -100 if word is None or word in ids[:at] else TAGS.index(DATA.given[i][word]) for at, word in enumerate(ids)
        ]
        expected = reference(**batch, labels=torch.tensor([labels])).loss.item()
        assert sketch.losses[i] == pytest.approx(expected, rel=1e-4)


def test_the_run_says_what_it_is_of(run: RunFolder) -> None:
    info = run.info
    assert (info.target, info.classes, info.label_names) == ("tags", (), TAGS)
    assert info.loss == {"name": "token_cross_entropy"}
    assert info.gradient_check_error is not None
    assert info.gradient_check_error < 1e-5
    assert info.model_accuracy_on_given_labels is not None
    assert 0.8 < info.model_accuracy_on_given_labels < 1
    assert run.table["given_label"].tolist() == [" | ".join(tags) for tags in DATA.given]


def test_every_word_is_kept_with_its_tag(run: RunFolder) -> None:
    sketch = run.gradient_sketch()
    assert sketch.words is not None
    assert sketch.word_spans is not None
    words = sketch.words.of(sketch.word_spans)
    lengths = [len(tags) for tags in DATA.given]
    assert (sketch.word_spans[:, 1] - sketch.word_spans[:, 0]).tolist() == lengths
    assert words["tag"].tolist() == [TAGS.index(tag) for tags in DATA.given for tag in tags]
    assert words["place"].tolist() == [place for length in lengths for place in range(length)]
    flat = np.array([word for row in DATA.words for word in row])
    assert len(np.unique(words["form"][flat == "may"])) == 1
    assert len(np.unique(words["form"])) == len(np.unique(flat))
    logits = words["logits"].astype(np.float64)
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(logits)), words["tag"]]
    ends = np.cumsum(lengths)
    means = [losses[end - length : end].mean() for length, end in zip(lengths, ends, strict=True)]
    np.testing.assert_allclose(means, sketch.losses, rtol=1e-4)


def test_wrong_tags_come_first(run: RunFolder) -> None:
    words = WordScores.load(run.path)
    wrong = np.array([flag for row in DATA.wrong for flag in row])
    assert average_precision_score(wrong, words.scores) > 0.9
    assert abs(words.probabilities.mean() - wrong.mean()) < 0.04
    true = np.array([TAGS.index(tag) for tags in DATA.true for tag in tags])
    assert (words.suggestions[wrong] == true[wrong]).mean() > 0.9
    any_wrong = np.array([any(flags) for flags in DATA.wrong])
    assert average_precision_score(any_wrong, run.table["score_oga"]) > 0.95
    sketch = run.gradient_sketch()
    np.testing.assert_allclose(run.table["score_oga"], wrong_tags(sketch).of_sentences(wrong_tags(sketch).score))
    assert max(doubt.score for doubt in words.of(7)) == pytest.approx(run.table["score_oga"][7], rel=1e-6)


def test_findings_say_which_word_and_what_instead(run: RunFolder) -> None:
    table = run.table
    doubtful = table["finding"] == "likely wrong tag"
    assert table["reason"][~doubtful].eq("").all()
    first = table.index[doubtful & (np.array([sum(flags) for flags in DATA.wrong]) == 1)][0]
    place = DATA.wrong[first].index(True)
    given, true = DATA.given[first][place], DATA.true[first][place]
    assert table["reason"][first].startswith(f"Word {place + 1} is tagged {given}, {true} is likelier (")
    assert table["suggested_label"][first] == " | ".join(DATA.true[first])
    assert "of the 924 tags look wrong" in run.info.warnings[0]
    assert "lists of tags look wrong" in result_in_words(ScoredRun(run.path))[0]


def test_decisions_go_home(run: RunFolder, tmp_path: Path) -> None:
    desk = open_run(run.path)
    row = next(i for i, flags in enumerate(DATA.wrong) if any(flags))
    desk.decide(f"s{row}", relabel=" | ".join(DATA.true[row]))
    with pytest.raises(OgaError, match="There are 1 tags for"):
        desk.decide(f"s{row}", relabel="O")
    before = (run.path.parent / "sentences.jsonl").read_text().splitlines()
    after = export_here(run, "fixed", tmp_path / "fixed").read_text().splitlines()
    assert json.loads(after[row])["tags"] == DATA.true[row]
    assert [*after[:row], *after[row + 1 :]] == [*before[:row], *before[row + 1 :]]
    written = export_here(run, "fixed", tmp_path / "applied", apply="suggestions").read_text().splitlines()
    fixed = [json.loads(line)["tags"] for line in written]
    assert sum(map(wrong_count, fixed, DATA.true)) < 0.2 * sum(map(wrong_count, DATA.given, DATA.true))
    table = export_here(run, "jsonl", tmp_path / "rows").read_text().splitlines()
    assert json.loads(table[row])["corrected_label"] == " | ".join(DATA.true[row])


def wrong_count(tags: list[str], true: list[str]) -> int:
    return sum(a != b for a, b in zip(tags, true, strict=True))


def test_tags_are_left_out_of_their_own_counts() -> None:
    forms = np.array([7, 7, 7, 9])
    counts = left_out_counts(forms, np.array([0, 0, 1, 1]), 2, prior=1.0)
    np.testing.assert_allclose(counts, [[0.5, 0.5], [0.5, 0.5], [2.5 / 3, 0.5 / 3], [0.5, 0.5]])


def test_words_that_stand_once_do_not_vote_by_their_counts() -> None:
    """The word's own tags are the shares of all tags then, or less: they tell nothing of this one."""
    tags = np.array([0] * 90 + [1] * 10)
    sure = np.where(np.arange(2) == tags[:, None], 0.9, 0.1)
    once = left_out_counts(np.arange(100), tags, 2)
    twice = left_out_counts(np.arange(100) // 2, tags, 2)
    model, of_once, of_twice = weights_of([sure, once, twice], tags)
    assert (model, of_twice) == (1, 1)
    assert of_once < 0.01


def test_a_packaged_tagger_of_another_kind_is_scored_from_conll(tmp_path: Path) -> None:
    tokens = tokenizer(tmp_path / "tokens")
    model = PlainTagger(len(tokens))
    example = dict(tokens(DATA.words[:3], is_split_into_words=True, padding=True, return_tensors="pt"))
    del example["token_type_ids"]
    path = package_model(
        model, example, tmp_path / "m.pt2", classes=TAGS, modality="text", tokenizer=tokens, loss="token_cross_entropy"
    )
    small = Tagged(DATA.words[:40], DATA.true[:40], DATA.given[:40])
    run = make_run(tmp_path, write_conll(tmp_path / "s.conll", small), path, scores=("loss",), force=True)
    assert run.info.target == "tags"
    assert run.info.gradient_check_error is not None
    assert run.info.gradient_check_error < 1e-5
    assert (run.info.n_samples, run.info.data.format) == (40, "conll")


def test_words_that_are_cut_off_have_no_tag(tmp_path: Path, model: Path) -> None:
    data = Tagged([["ann"] * 100], [["O"] * 100], [["O"] * 100])
    samples, task = prepare(read_samples(write_jsonl(tmp_path / "a.jsonl", data)), load_model(model))
    assert int((task.batch(samples, np.array([0]))["labels"] >= 0).sum()) == 30


def test_a_live_tagger_is_not_taken_for_a_language_model(model: Path) -> None:
    tagger = BertForTokenClassification.from_pretrained(model).eval()
    rows = [{"input_ids": torch.tensor([2, 5, 6, 3]), "labels": torch.tensor([-100, 1, -100, -100])}] * 4
    with pytest.raises(OgaError, match="gives every token a tag"):
        per_sample_gradients(tagger, rows)


def test_data_without_tags_are_refused(tmp_path: Path, model: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,O\nb,B-PER\n")
    with pytest.raises(OgaError, match="has no lists of words and tags"):
        prepare(read_samples(path), load_model(model))
