"""What is scored is what was trained: tokens and labels are those of TRL's SFTTrainer."""

import json

import numpy as np
import pytest
from rows_of_language import ROWS
from tokenizers_of_language import MARKED, TOKENIZERS, same_words
from trl_trainer import trained_by_trl

from oga_core.models.card import ModelCard
from oga_core.readers import read_samples
from oga_core.tasks import task_for

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # TRL trains with arguments of the next transformers


@pytest.fixture(scope="module", params=list(TOKENIZERS))
def tokenizer(request):
    return TOKENIZERS[request.param]()


def ours(tokenizer, rows: list[dict], folder, **card) -> list[dict]:
    path = folder / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    samples = read_samples(path)
    task = task_for(ModelCard("causal_lm", (), card), tokenizer)
    batches = [task.batch(samples, np.array([row])) for row in range(len(samples))]
    return [{name: batch[name][0].tolist() for name in ("input_ids", "labels")} for batch in batches]


def markers(tokenizer):
    """TRL takes a template of its own, with the same words, where the tokenizer's does not mark the assistant's."""
    return tokenizer if "generation -" in tokenizer.chat_template else same_words(tokenizer, MARKED)


@pytest.mark.parametrize("name", list(ROWS))
def test_tokens_and_labels_are_those_of_trl(tokenizer, name, tmp_path):
    row, read = ROWS[name]
    read = read or row
    expected = trained_by_trl(markers(tokenizer), [read], assistant_only_loss="messages" in read)
    assert ours(tokenizer, [row], tmp_path) == expected


@pytest.mark.parametrize("name", list(ROWS))
def test_all_tokens_are_those_of_trl_without_a_mask(tokenizer, name, tmp_path):
    row, read = ROWS[name]
    expected = trained_by_trl(tokenizer, [read or row], completion_only_loss=False)
    assert ours(tokenizer, [row], tmp_path, trained_on="all") == expected


@pytest.mark.parametrize("name", ["one question", "several turns", "with tools", "a call without content"])
def test_the_last_turn_is_a_completion_of_the_others(tokenizer, name, tmp_path):
    row, _ = ROWS[name]
    split = {**row, "prompt": row["messages"][:-1], "completion": row["messages"][-1:]}
    del split["messages"]
    expected = trained_by_trl(markers(tokenizer), [split], assistant_only_loss=True)
    assert ours(tokenizer, [row], tmp_path, trained_on="last") == expected


@pytest.mark.parametrize("max_length", [7, 9, 14])
def test_rows_are_cut_and_dropped_as_by_trl(tokenizer, max_length, tmp_path):
    rows = [{"prompt": "the quick fox " * i, "completion": " the lazy dog"} for i in range(1, 6)]
    kept = trained_by_trl(tokenizer, rows, max_length=max_length)
    assert kept
    assert ours(tokenizer, rows[: len(kept)], tmp_path, max_length=max_length) == kept
    with pytest.raises(Exception, match=f"none of its first {max_length} tokens is trained on"):
        ours(tokenizer, rows[len(kept) :], tmp_path, max_length=max_length)
