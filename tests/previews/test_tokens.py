"""What is trained on, as the dashboard and a run's record say it, from a worker that reads data and tokenizer."""

import json
import shutil

import numpy as np
import pytest
from here import score_here, without_workers
from language_models import llama_folder

from oga_core.errors import OgaError
from oga_core.pipeline.options import ScoreOptions
from oga_core.previews.reader import PreviewReader, TokenRequest, tokens_of
from oga_core.runs.folder import RunFolder
from oga_core.runs.trained_input import TrainedInput

MAX_LENGTH = 24
ROWS = [
    {"messages": [{"role": "user", "content": f"the fox {i} ?"}, {"role": "assistant", "content": "the dog . " * i}]}
    for i in range(1, 9)
]
QUESTION = {"messages": [{"role": "user", "content": "the lazy dog ?"}], "tools": None}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return llama_folder(tmp_path_factory.mktemp("model"), MAX_LENGTH)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "chats.jsonl"
    path.write_text("\n".join(map(json.dumps, [*ROWS, QUESTION])))
    return path


@pytest.fixture(scope="module")
def run(model, data, tmp_path_factory):
    options = ScoreOptions(map="none", scores=("loss",), batch_size=4)
    return score_here(data, model, tmp_path_factory.mktemp("run") / "run", options)


def text(row, kind):
    return "".join(token["text"] for token in row["tokens"] if token[kind])


def test_rows_are_shown_before_anything_is_scored(model, data):
    seen = tokens_of(TokenRequest(str(data), str(model), rows=(0, 7, 8, 99)))
    short, long, question = seen["rows"]
    assert seen["n_samples"] == 9
    assert text(short, "trained") == "the dog . <|im_end|>\n"
    assert text(short, "special").count("<|im_start|>") == 2
    assert not text(short, "cut")
    assert text(long, "trained") + text(long, "cut") == "the dog . " * 8 + "<|im_end|>\n"
    assert len(long["tokens"]) == long["n_tokens"] > MAX_LENGTH
    assert not text(question, "trained")
    counts = TrainedInput(**seen["counts"])
    assert (counts.rows, counts.untrained_rows, counts.max_length) == (9, 1, MAX_LENGTH)


def test_a_choice_and_a_card_change_what_is_trained_on(model, data):
    card = json.dumps({"modality": "causal_lm", "input": {"max_length": 6, "trained_on": "last"}})
    with without_workers():
        seen = tokens_of(TokenRequest(str(data), str(model), model_card=card, trained_on="all", rows=(8,)))
    (question,) = seen["rows"]
    assert sum(token["trained"] for token in question["tokens"]) == 5
    assert seen["counts"]["trained_on"] == "all"


def test_other_data_is_refused(model, tmp_path):
    (tmp_path / "a.csv").write_text("text,label\na,x\nb,y\n")
    with (
        without_workers(),
        pytest.raises(OgaError, match="reads as text, and tokens are shown of rows for a language model"),
    ):
        tokens_of(TokenRequest(str(tmp_path / "a.csv"), str(model)))


def test_a_run_says_what_it_was_trained_on_and_what_it_dropped(run, model, data):
    info = RunFolder.open(run.path).info
    counts = info.trained_input
    with without_workers():
        expected = TrainedInput(**tokens_of(TokenRequest(str(data), str(model)))["counts"])
    assert counts == expected
    assert (counts.rows, counts.untrained_rows, info.n_samples) == (9, 1, 8)
    assert [problem["reason"] for problem in info.problems] == ["none of its tokens is trained on"]
    assert run.gradient_sketch().response_lengths.sum() == counts.trained_tokens


def test_rows_of_a_run_are_shown_in_review(run, model, tmp_path):
    reader = PreviewReader(run)
    try:
        assert text(reader.tokens(np.int64(1)), "trained") == "the dog . the dog . <|im_end|>\n"
        hidden = shutil.move(model / "tokenizer.json", tmp_path / "tokenizer.json")
        other = PreviewReader(run)
        try:
            assert "cannot be loaded" in other.tokens(1)["unreadable"]
        finally:
            other.close()
            shutil.move(hidden, model / "tokenizer.json")
    finally:
        reader.close()
