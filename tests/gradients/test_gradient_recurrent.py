"""Recurrent layers by rule: exact in every form that PyTorch has, never left to vmap."""

from __future__ import annotations

import pytest
import torch
from engine_helpers import N_CLASSES, assert_exact, random_samples
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

KINDS = {
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "tanh": nn.RNN,
    "relu": lambda *sizes, **options: nn.RNN(*sizes, nonlinearity="relu", **options),
    "projected lstm": lambda *sizes, **options: nn.LSTM(*sizes, proj_size=3, **options),
}
FORMS = {
    "time first": {},
    "batch first": {"batch_first": True},
    "both directions": {"bidirectional": True, "batch_first": True},
    "two layers without biases": {"num_layers": 2, "bias": False, "dropout": 0.5},
}


@pytest.fixture(autouse=True)
def no_vmap(monkeypatch):
    def refuse(*args):
        raise AssertionError("a recurrent layer was left to vmap")

    monkeypatch.setattr("oga_core.gradients.methods.hooks.vmap_gradients", refuse)


class Recurrent(nn.Module):
    """A recurrent layer between two linear ones; `read` picks what the head sees of it."""

    def __init__(self, layer: nn.Module, read):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.layer, self.read = nn.Linear(4, 4), layer, read
        self.head = nn.LazyLinear(N_CLASSES)
        self(torch.zeros(2, 6, 4))

    def forward(self, x):
        hidden = self.embed(x)
        batch_first = self.layer.batch_first
        outputs, last = self.layer(hidden if batch_first else hidden.transpose(0, 1))
        return self.head(self.read(outputs if batch_first else outputs.transpose(0, 1), last))


def mean_output(outputs, last):
    return outputs.mean(1)


def last_states(outputs, last):
    states = last if isinstance(last, tuple) else (last,)
    return torch.cat([state.transpose(0, 1).flatten(1) for state in states], 1)


@pytest.mark.parametrize("read", [mean_output, last_states])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_every_form_is_exact(kind, form, read, tmp_path):
    model = Recurrent(KINDS[kind](4, 5, **FORMS[form]), read)
    assert_exact(model, random_samples(8, 6, 4), tmp_path)


@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_cells_in_a_loop_are_exact(kind, tmp_path):
    class Looped(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.cell, self.head = kind(4, 5), nn.Linear(5, N_CLASSES)

        def forward(self, x):
            state = None
            for step in x.unbind(1):
                state = self.cell(step, state)
            return self.head(state[0] if isinstance(state, tuple) else state)

    assert_exact(Looped(), random_samples(8, 6, 4), tmp_path)


def test_words_of_characters_are_folded_into_the_batch(tmp_path):
    class Characters(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.of_characters = nn.GRU(4, 5, batch_first=True, bidirectional=True)
            self.of_words, self.head = nn.LSTM(10, 5, batch_first=True), nn.Linear(5, N_CLASSES)

        def forward(self, x):  # (batch, words, characters, 4)
            _, last = self.of_characters(x.flatten(0, 1))
            words = last.transpose(0, 1).reshape(*x.shape[:2], 10)
            return self.head(self.of_words(words)[1][0][0])

    assert_exact(Characters(), random_samples(8, 3, 6, 4), tmp_path)


class OfTexts(nn.Module):
    """Texts of different lengths through two packed layers; the head sees the mean output and the last states."""

    def __init__(self, kind, **options):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.first = nn.Linear(4, 4), kind(4, 3, **options)
        self.second, self.head = nn.GRU(6, 5, batch_first=True), nn.Linear(10, N_CLASSES)

    def forward(self, x):
        lengths = 1 + (x[:, 0, 0].abs() * 3).long().clamp(max=x.shape[1] - 1)
        batch_first = self.first.batch_first
        hidden = self.embed(x) if batch_first else self.embed(x).transpose(0, 1)
        texts = pack_padded_sequence(hidden, lengths, batch_first, enforce_sorted=False)
        outputs, last = self.second(self.first(texts)[0])
        padded, _ = pad_packed_sequence(outputs, batch_first=True)
        return self.head(torch.cat([padded.sum(1), last[0]], 1))


@pytest.mark.parametrize("kind", [*KINDS][:4])
@pytest.mark.parametrize("batch_first", [True, False])
def test_packed_sequences_are_exact(kind, batch_first, tmp_path):
    model = OfTexts(KINDS[kind], bidirectional=True, batch_first=batch_first)
    assert_exact(model, random_samples(8, 6, 4), tmp_path)


@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_packed_sequences_that_were_sorted_before_and_projected_are_exact(tmp_path):
    class Sorted(OfTexts):
        def forward(self, x):
            texts = pack_padded_sequence(self.embed(x), [x.shape[1]] * len(x), batch_first=True)
            return self.head(torch.cat([self.second(self.first(texts)[0])[1][0]] * 2, 1))

    model = Sorted(nn.LSTM, num_layers=2, bidirectional=True, batch_first=True, bias=False)
    assert_exact(model, random_samples(8, 6, 4), tmp_path)
