"""Contractions of data with parameters: `einsum`, products for each head or expert, bilinear layers; by rule."""

from __future__ import annotations

import pytest
import torch
from engine_helpers import N_CLASSES, assert_exact, random_samples
from torch import nn

from oga_core.gradients.hooks.rules_contraction import Labels

FUNCTIONS = {  # on data (batch, 4, 6)
    "matrix": ((5, 6), lambda x, w: torch.einsum("bti,oi->bto", x, w)),
    "matrix from the left": ((5, 4), lambda x, w: torch.einsum("st,btd->bsd", w, x)),
    "transposed matrix": ((6, 5), lambda x, w: torch.einsum("bti,io->bto", x, w)),
    "implicit output": ((6, 5), lambda x, w: torch.einsum("bti,io", x, w)),
    "ellipsis": ((6, 5), lambda x, w: torch.einsum("...i,io->...o", x, w)),
    "heads": ((2, 6, 5), lambda x, w: torch.einsum("btd,hde->bhte", x, w)),
    "own matrix for each position": ((4, 6, 5), lambda x, w: torch.einsum("btd,tde->bte", x, w)),
    "scale by letters": ((6,), lambda x, w: torch.einsum("btd,d->btd", x, w)),
    "summed over all": ((4, 6), lambda x, w: torch.einsum("btd,td->b", x, w)[:, None]),
    "three operands": ((6, 5, 6), lambda x, w: torch.einsum("bti,ioj,btj->bto", x, w, x.flip(1).detach())),
    "time first": ((2, 6, 5), lambda x, w: torch.einsum("tbd,hde->bhte", x.transpose(0, 1), w)),
    "folded": ((2, 6, 5), lambda x, w: torch.einsum("nd,hde->nhe", x.flatten(0, 1), w).unflatten(0, (len(x), 4))),
    "an axis of one": ((1, 6, 5), lambda x, w: torch.einsum("btd,tde->bte", x, w)),
    "product for each sample": ((5, 4), lambda x, w: w @ x),
    "product for each expert": ((4, 6, 5), lambda x, w: torch.bmm(x.transpose(0, 1), w).transpose(0, 1)),
    "product for each head": ((4, 1, 6, 5), lambda x, w: (x.transpose(0, 1)[:, :, None] @ w).transpose(0, 1)),
    "one product for all experts": ((1, 6, 5), lambda x, w: x[:, :, None] @ w),
}


class Between(nn.Module):
    """A parameter met by a function of data that is on the tape, with layers before and behind."""

    def __init__(self, shape, function):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.function = nn.Linear(6, 6), function
        self.weight = nn.Parameter(torch.randn(*shape) / 2)
        self.head = nn.LazyLinear(N_CLASSES)
        self(torch.zeros(2, 4, 6))

    def forward(self, x):
        return self.head(self.function(self.first(x).tanh(), self.weight).tanh().flatten(1))


@pytest.fixture(autouse=True)
def no_vmap(monkeypatch):
    def refuse(*args):
        raise AssertionError("a contraction was left to vmap")

    monkeypatch.setattr("oga_core.gradients.methods.hooks.vmap_gradients", refuse)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_contractions_are_exact(name, tmp_path):
    assert_exact(Between(*FUNCTIONS[name]), random_samples(9, 4, 6), tmp_path)


@pytest.mark.parametrize("bias", [True, False])
def test_bilinear_layers_are_exact(bias, tmp_path):
    class Bilinear(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.first, self.layer = nn.Linear(6, 6), nn.Bilinear(6, 6, 5, bias=bias)
            self.head = nn.Linear(5, N_CLASSES)

        def forward(self, x):
            x = self.first(x).tanh()
            return self.head(self.layer(x, x.flip(1)).tanh().mean(1))

    assert_exact(Bilinear(), random_samples(9, 4, 6), tmp_path)


def test_attention_by_einsum_is_exact(tmp_path):
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.queries, self.keys, self.values = (nn.Parameter(torch.randn(6, 2, 3)) for _ in range(3))
            self.mix, self.head = nn.Parameter(torch.randn(2, 3, 6)), nn.Linear(6, N_CLASSES)

        def forward(self, x):
            q, k, v = (torch.einsum("btd,dhe->bhte", x, w) for w in (self.queries, self.keys, self.values))
            mixed = torch.einsum("bhqk,bhke->bhqe", torch.einsum("bhqe,bhke->bhqk", q, k).softmax(-1), v)
            return self.head(torch.einsum("bhte,hed->btd", mixed, self.mix).mean(1))

    assert_exact(Attention(), random_samples(9, 4, 6), tmp_path)


def test_equations_are_read_as_einsum_reads_them():
    samples, matrix = torch.zeros(2, 3, 4), torch.zeros(5, 4)
    assert Labels.of_einsum("...i,oi->...o", [samples, matrix]) == Labels(("abi", "oi"), "abo")
    assert Labels.of_einsum("bti,oi", [samples, matrix]) == Labels(("bti", "oi"), "bot")
    assert Labels.of_einsum("b i i, o i -> b o", [torch.zeros(2, 3, 3), matrix]) is None  # a diagonal
    assert Labels.of_product(samples, matrix.T) == Labels(("aik", "kj"), "aij")
