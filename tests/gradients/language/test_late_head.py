"""Gradients with a last layer that is multiplied out only where a token counts, against logits held whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from test_language import ROWS, samples_of, word_tokenizer
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from oga_core.gradients import forward as forwards
from oga_core.gradients import passes
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass
from oga_core.models.card import ModelCard
from oga_core.tasks import cross_entropy, task_for
from oga_core.tasks.language.late_head import LateHead, head_input, output_layer

VOCABULARY = 3000
"""Far more than all other sizes of the model together."""
WIDTH = 24
ATTENTION = r"pattern:(q|v)_proj\.weight"


def llama(**options):
    torch.manual_seed(0)
    sizes = {"hidden_size": WIDTH, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(vocab_size=VOCABULARY, max_position_embeddings=32, **sizes, **options)
    ).eval()


@pytest.fixture(scope="module")
def task():
    return task_for(ModelCard("causal_lm", ()), word_tokenizer())


def passed(task, model, folder, parameters=ATTENTION):
    options = PassOptions(parameters, batch_size=4, without_prompt=True, sketch_dim=64)
    return gradient_pass(task, model, samples_of(ROWS), folder=folder, options=options)


@pytest.mark.parametrize("numbers", [2**26, 2 * VOCABULARY])  # one chunk, or two tokens at a time
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("parameters", [ATTENTION, "all"])
def test_all_arrays_are_those_of_whole_logits(task, tmp_path, monkeypatch, numbers, tied, parameters):
    compared(task, llama(tie_word_embeddings=tied), parameters, numbers, tmp_path, monkeypatch)


def compared(task, model, parameters, numbers, folder, monkeypatch):
    with monkeypatch.context() as whole:
        whole.setattr(forwards, "output_layer", lambda model: None)
        expected = passed(task, model, folder / "whole", parameters).sketch
    monkeypatch.setattr(cross_entropy, "CHUNK_NUMBERS", numbers)
    result = passed(task, model, folder / "late", parameters)
    assert not result.notes
    assert result.sketch.coverage == 1
    for name, array in vars(expected).items():
        if isinstance(array, np.ndarray):
            array_late = getattr(result.sketch, name)
            np.testing.assert_allclose(array_late, array, rtol=2e-3, atol=2e-3 if array.dtype == np.float16 else 1e-5)


@pytest.mark.parametrize("parameters", ["pattern:lm_head.*", "all"])
def test_a_head_with_a_bias_is_that_of_whole_logits(task, tmp_path, monkeypatch, parameters):
    model = llama()
    model.lm_head.bias = torch.nn.Parameter(torch.randn(VOCABULARY))
    compared(task, model, parameters, 4 * VOCABULARY, tmp_path, monkeypatch)


class Largest(TorchDispatchMode):
    """Counts the numbers of the largest tensor that anything makes; a view makes none."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        output = func(*args, **(kwargs or {}))
        for tensor in output if isinstance(output, (tuple, list)) else [output]:
            if isinstance(tensor, torch.Tensor):
                self.numbers = max(self.numbers, tensor.untyped_storage().nbytes() // tensor.element_size())
        return output


def test_logits_of_all_tokens_are_never_held(task, monkeypatch):
    monkeypatch.setattr(cross_entropy, "CHUNK_NUMBERS", 2 * VOCABULARY)
    model = llama()
    model.lm_head.weight.requires_grad_(False)
    batch = task.batch(samples_of(ROWS), np.arange(len(ROWS)))
    largest = {}
    for late in (False, True):
        with Largest() as seen:
            task.losses(forwards.outputs_of(task, model, batch, late_head=late), batch).sum().backward()
        largest[late] = seen.numbers
    weight = model.lm_head.weight.numel()
    assert largest[False] >= batch["labels"].numel() * VOCABULARY > weight
    assert largest[True] <= weight


def test_gradients_at_the_states_are_those_of_torch(monkeypatch):
    monkeypatch.setattr(cross_entropy, "CHUNK_NUMBERS", 100)
    torch.manual_seed(0)
    states = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    weight, bias = torch.randn(31, 5, dtype=torch.float64), torch.randn(31, dtype=torch.float64)
    targets = torch.randint(0, 31, (7,))
    assert torch.autograd.gradcheck(lambda rows: cross_entropy.late_token_losses(rows, weight, bias, targets), states)
    losses = cross_entropy.late_token_losses(states, weight, bias, targets)
    exact = torch.nn.functional.cross_entropy(states @ weight.T + bias, targets, reduction="none")
    torch.testing.assert_close(losses, exact)
    assert not cross_entropy.late_token_losses(states.detach(), weight, bias, targets).requires_grad


class Seen(TorchFunctionMode):
    """Whether anything was multiplied by the weight."""

    def __init__(self, weight):
        super().__init__()
        self.weight, self.times = weight, 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.times += func is torch.nn.functional.linear and args[1] is self.weight
        return func(*args, **(kwargs or {}))


def test_a_head_whose_gradient_is_asked_for_is_trained_and_passed_over_without_its_logits(task, tmp_path, monkeypatch):
    monkeypatch.setattr(cross_entropy, "CHUNK_NUMBERS", 2 * VOCABULARY)
    model = llama()
    batch = task.batch(samples_of(ROWS), np.arange(len(ROWS)))
    assert forwards.suits_late_head(task, model, model.parameters(), batch)
    gradients, largest = {}, {}
    for late in (False, True):
        model.zero_grad()
        with Largest() as seen:
            task.losses(forwards.outputs_of(task, model, batch, late_head=late), batch).sum().backward()
        gradients[late], largest[late] = model.lm_head.weight.grad, seen.numbers
    torch.testing.assert_close(gradients[True], gradients[False], rtol=1e-4, atol=1e-6)
    assert largest[True] <= model.lm_head.weight.numel() < batch["labels"].numel() * VOCABULARY <= largest[False]


class LogitRows(TorchDispatchMode):
    """Counts the rows of the largest tensor whose last axis is the vocabulary's."""

    def __init__(self):
        super().__init__()
        self.rows = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        output = func(*args, **(kwargs or {}))
        # Of the weight, the other way round, there are more rows; what stands in for logits has none in memory.
        if isinstance(output, torch.Tensor) and output.shape[-1:] == (VOCABULARY,) and output.shape[0] != WIDTH:
            self.rows = max(self.rows, output.untyped_storage().nbytes() // output.element_size() // VOCABULARY)
        return output


def test_a_pass_makes_the_logits_of_one_row_at_a_time(task, monkeypatch):
    monkeypatch.setattr(cross_entropy, "CHUNK_NUMBERS", 2 * VOCABULARY)
    model = llama()
    batch = task.batch(samples_of(ROWS), np.arange(len(ROWS)))
    options = PassOptions("all", device="cpu", sketch_dim=64)
    seen = forwards.first_look(task, model, "all", batch)
    full = passes.new_pass(task, model, options, seen, batch, torch.device("cpu"), set())
    with LogitRows() as held:
        full(batch)
    counted = (batch["labels"] != -100).sum(1)
    assert counted.max() < counted.sum() / 2
    assert held.rows <= max(2, counted.max())


def test_logits_that_are_changed_afterwards_are_held_whole(task, tmp_path):
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.Gemma2Config(
        vocab_size=50,
        max_position_embeddings=32,
        num_key_value_heads=2,
        head_dim=8,
        final_logit_softcapping=1.0,
        **sizes,
    )
    model = transformers.Gemma2ForCausalLM(config).eval()
    batch = task.batch(samples_of(ROWS), np.arange(2))
    assert not forwards.suits_late_head(task, model, (), batch)
    config.final_logit_softcapping = None
    assert forwards.suits_late_head(task, model, (), batch)


def test_a_stand_in_takes_no_memory_and_leaves_other_layers_alone(task):
    model = llama()
    batch = task.batch(samples_of(ROWS), np.arange(2))
    with Seen(model.lm_head.weight) as seen, LateHead(model):
        logits = task.outputs(model, batch)
    assert seen.times == 0
    assert logits.shape == (*batch["labels"].shape, VOCABULARY)
    assert logits.untyped_storage().nbytes() == logits.element_size()
    given = head_input(logits)
    torch.testing.assert_close(given.states @ given.weight.T, task.outputs(model, batch))
    assert output_layer(torch.nn.Linear(2, 2)) is None
