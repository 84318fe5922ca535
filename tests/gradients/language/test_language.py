"""What a pass keeps of a language model's rows, against the model's own outputs row by row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from oga_core.gradient_sketch import TokenLosses
from oga_core.gradients import language
from oga_core.gradients.batches import first_batch, pass_order, shorter_half
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import PassResult, gradient_pass
from oga_core.models.card import ModelCard
from oga_core.samples import SampleSet, Source, UnreadableSample
from oga_core.tasks import Task, task_for

PATH = Path("memory")
ROWS = [
    {"prompt": "a b c ", "completion": "d e f g"},
    {"prompt": "b ", "completion": "b"},
    {"prompt": "c d a b ", "completion": "a h"},
    {"prompt": "h ", "completion": "g f e d c b"},
    {"prompt": "e e ", "completion": "e e e"},
]


def word_tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(["<pad>", "</s>", *"abcdefgh"])}))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", eos_token="</s>")


def samples_of(rows: list[dict[str, str]]) -> SampleSet:
    n = len(rows)
    return SampleSet(
        ids=np.array([f"r{i}" for i in range(n)], dtype=object),
        inputs=rows,
        given_labels=np.full(n, -1),
        class_names=(),
        modality="causal_lm",
        rows=rows,
        row_numbers=np.arange(n),
        source=Source(PATH, "memory"),
        fingerprint="test",
    )


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    import transformers as t

    torch.manual_seed(0)
    sizes = {"hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    return t.LlamaForCausalLM(t.LlamaConfig(vocab_size=10, max_position_embeddings=32, **sizes)).eval()


@pytest.fixture(scope="module")
def task() -> Task:
    return task_for(ModelCard("causal_lm", ()), word_tokenizer())


@dataclass(frozen=True)
class Kept:
    """A pass in its folder, and what the model says of each row alone."""

    result: PassResult
    tokens: TokenLosses
    states: list[torch.Tensor]
    losses: list[torch.Tensor]
    labels: list[torch.Tensor]


@pytest.fixture(scope="module")
def arrays(model, task, tmp_path_factory) -> Kept:
    folder, samples = tmp_path_factory.mktemp("pass"), samples_of(ROWS)
    options = PassOptions("all", batch_size=2, without_prompt=True, sketch_dim=32)
    result = gradient_pass(task, model, samples, folder=folder, options=options)
    states, losses, labels = [], [], []
    for row in range(len(ROWS)):
        batch = task.batch(samples, np.array([row]))
        with torch.no_grad():
            outputs = model(input_ids=batch["input_ids"], output_hidden_states=True)
        targets = batch["labels"][0, 1:]
        each = torch.nn.functional.cross_entropy(outputs.logits[0, :-1], targets, reduction="none", ignore_index=-100)
        states.append(outputs.hidden_states[-1][0])
        losses.append(each[targets != -100])
        labels.append(batch["labels"][0])
    return Kept(result, TokenLosses(folder), states, losses, labels)


@pytest.mark.parametrize("row", range(len(ROWS)))
def test_token_losses_add_up_to_the_rows_loss(arrays, row):
    losses = arrays.tokens.of(row)
    assert losses.dtype == np.float16
    np.testing.assert_allclose(losses, arrays.losses[row].numpy(), rtol=2e-3)
    np.testing.assert_allclose(losses.mean(dtype=np.float64), arrays.result.sketch.losses[row], rtol=2e-3)
    assert arrays.result.sketch.response_lengths[row] == len(losses)
    np.testing.assert_allclose(arrays.result.sketch.end_losses[row], losses[-1], rtol=2e-3)
    np.testing.assert_allclose(arrays.result.sketch.peak_losses[row], losses.max(), rtol=2e-3)


@pytest.mark.parametrize("row", range(len(ROWS)))
def test_states_are_those_of_the_models_last_layer(arrays, row):
    sketch, states = arrays.result.sketch, arrays.states[row].numpy()
    first = int((arrays.labels[row] != -100).int().argmax())
    np.testing.assert_allclose(sketch.prompt_states[row], states[first - 1], atol=5e-3)
    np.testing.assert_allclose(sketch.prompt_means[row], states[:first].mean(0), atol=5e-3)
    np.testing.assert_allclose(sketch.response_means[row], states[first:].mean(0), atol=5e-3)
    assert sketch.prompt_states.dtype == np.float16


def test_share_of_tokens_that_the_prompt_does_not_have(arrays):
    # </s> never occurs in a prompt
    np.testing.assert_allclose(arrays.result.sketch.new_token_shares, [1, 1 / 2, 2 / 3, 1, 1 / 4], rtol=1e-6)


def test_losses_without_the_prompt_are_those_of_the_response_alone(arrays, model, task):
    for row, content in enumerate(ROWS):
        ids = task.tokenizer(content["completion"])["input_ids"]
        text = torch.tensor([[0, *ids, 1]])  # the tokenizer has no token for the beginning, so the padding stands there
        with torch.no_grad():
            logits = model(input_ids=text).logits[0, :-1]
        alone = torch.nn.functional.cross_entropy(logits, text[0, 1:])
        np.testing.assert_allclose(arrays.result.sketch.prompt_free_losses[row], float(alone), rtol=1e-4)


def test_wide_states_are_projected_and_keep_their_products(model, task, tmp_path, monkeypatch):
    monkeypatch.setattr(language, "STATE_SIZE", 16)
    samples = samples_of(ROWS)
    sketch = gradient_pass(task, model, samples, folder=tmp_path, options=PassOptions("all")).sketch
    assert sketch.prompt_states.shape == (len(ROWS), 16)
    assert sketch.response_means.shape == (len(ROWS), 16)


class Broken:
    """Rows of which one cannot be read."""

    def __init__(self, rows: list[dict[str, str]], broken: int):
        self.rows, self.broken = rows, broken

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> dict[str, str]:
        if row == self.broken:
            raise UnreadableSample("broken")
        return self.rows[row]


def test_rows_that_cannot_be_read_leave_the_token_losses_of_the_others_in_place(arrays, model, task, tmp_path):
    rows = ROWS * 5
    samples = samples_of(rows)
    object.__setattr__(samples, "inputs", Broken(rows, 1))
    result = gradient_pass(task, model, samples, folder=tmp_path, options=PassOptions("all", batch_size=4))
    assert result.rows.tolist() == [0, *range(2, len(rows))]
    for position, row in enumerate(result.rows):
        np.testing.assert_allclose(TokenLosses(tmp_path).of(position), arrays.tokens.of(row % len(ROWS)), rtol=2e-3)


def test_a_pass_that_was_interrupted_reads_no_losses_twice(arrays, model, task, tmp_path):
    def stop(event: dict[str, Any]) -> None:
        if event.get("done", 0) >= 4:
            raise KeyboardInterrupt

    options = PassOptions("all", batch_size=2)
    with pytest.raises(KeyboardInterrupt):
        gradient_pass(task, model, samples_of(ROWS), folder=tmp_path, options=options, progress=stop)
    gradient_pass(task, model, samples_of(ROWS), folder=tmp_path, options=options)
    for row in range(len(ROWS)):
        np.testing.assert_allclose(TokenLosses(tmp_path).of(row), arrays.tokens.of(row), rtol=2e-3)


def test_a_run_without_token_losses_has_none(tmp_path):
    assert len(TokenLosses(tmp_path).of(0)) == 0


def test_the_check_takes_the_shorter_half_of_many_rows(task):
    texts = [{"text": "a b " * n} for n in range(1, 17)]
    samples = samples_of(texts)
    order = pass_order(task, samples)
    cpu = torch.device("cpu")
    width = first_batch(task, samples, order, cpu)["labels"].shape[1]
    shorter = shorter_half(task, samples, order, cpu)
    assert shorter is not None
    assert len(shorter["labels"]) == 4
    assert shorter["labels"].shape[1] < 0.6 * width
    assert shorter_half(task, samples, order[:6], cpu) is None  # too few to choose among
