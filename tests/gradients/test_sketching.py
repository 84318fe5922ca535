"""The mathematics of the sketch: dot products are kept in expectation, and their error shrinks as it should."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from oga_core.gradients.factors.convolution import ConvolutionFactor, Geometry
from oga_core.gradients.factors.factor import DirectFactor, Factor, Kept
from oga_core.gradients.factors.products import LookupFactor, ProductFactor, SumFactor
from oga_core.gradients.factors.reduction import Reduction
from oga_core.gradients.factors.sketching import Sketcher, random_signs

SEEDS = 80  # the error of a standard deviation is then 8 %
FEWER = 10  # of a vector, each of whose sketches draws 73 million signs


def product(m: int, n: int, time: int = 3) -> Factor:
    torch.manual_seed(0)
    return ProductFactor(torch.randn(2, time, m), torch.randn(2, time, n))


def convolution(m: int, n: int) -> Factor:
    torch.manual_seed(0)
    return ConvolutionFactor(
        torch.randn(2, m, 4, 4), torch.randn(2, n, 4, 4), Geometry((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    )


def lookup(rows: int, n: int) -> Factor:
    torch.manual_seed(0)
    return LookupFactor(torch.randint(0, rows, (2, 6)), torch.randn(2, 6, n), rows)


FACTORS = {
    "small": product(5, 7),
    "linear": product(96, 160),
    "one position": product(96, 160, time=1),
    "narrow": product(4, 3000),
    "convolution": convolution(40, 48),
    "embedding": lookup(300, 80),
    "embedding that is also the last layer": SumFactor([lookup(300, 80), product(300, 80)]),
    "embedding looked up twice": SumFactor([lookup(300, 80), lookup(300, 80)]),
    "vector": DirectFactor(torch.randn(2, 9000, generator=torch.Generator().manual_seed(0)), (9000, 1, 1)),
}


def sketches(factor: Factor, dim: int, seeds: int = SEEDS) -> torch.Tensor:
    rows = []
    for seed in range(seeds):
        sketcher = Sketcher(dim, seed)
        sketch = torch.zeros(len(factor), dim)
        sketcher.fold(sketch, "weight", factor.sketch("weight", sketcher))
        rows.append(sketch)
    return torch.stack(rows)  # (seed, sample, dim)


@pytest.mark.parametrize("name", FACTORS)
def test_dot_products_are_kept_in_expectation_with_a_small_error(name):
    factor = FACTORS[name]
    exact = factor.explicit(slice(0, 2)).flatten(1)
    seeds = FEWER if name == "vector" else SEEDS
    one, other = sketches(factor, 512, seeds).unbind(1)
    estimate, truth = (one * other).sum(1), exact[0] @ exact[1]
    scale = exact[0].norm() * exact[1].norm()
    error = (estimate - truth) / scale
    # The mean over seeds is right within four standard errors, and one seed's error is a few times 1 / sqrt(512).
    assert abs(error.mean()) < 4 * error.std() / np.sqrt(seeds) + 1e-6
    assert error.std() < 5 / np.sqrt(512)
    norms = one.square().sum(1) / exact[0].square().sum()
    assert abs(norms.mean() - 1) < 4 * norms.std() / np.sqrt(seeds) + 1e-6


def test_the_error_shrinks_with_the_root_of_the_dimension():
    factor = product(60, 60)
    exact = factor.explicit(slice(0, 2)).flatten(1)
    truth, scale = exact[0] @ exact[1], exact[0].norm() * exact[1].norm()
    errors = []
    for dim in (64, 1024):
        one, other = sketches(factor, dim).unbind(1)
        errors.append(float((((one * other).sum(1) - truth) / scale).std()))
    assert 2.5 < errors[0] / errors[1] < 6.5  # 4, within the spread of the seeds


def test_parameters_do_not_disturb_each_other_in_expectation():
    factor = product(20, 30)
    exact = factor.explicit(slice(0, 2)).flatten(1)
    dots = []
    for seed in range(SEEDS):
        sketcher = Sketcher(256, seed)
        sketch = torch.zeros(2, 256)
        sketcher.fold(sketch, "a", factor.sketch("a", sketcher))
        sketcher.fold(sketch, "b", -factor.sketch("b", sketcher))
        dots.append(sketch[0] @ sketch[1])
    dots = torch.stack(dots)
    truth = 2 * exact[0] @ exact[1]
    assert abs(dots.mean() - truth) < 4 * dots.std() / np.sqrt(SEEDS)


@pytest.mark.parametrize("size", [100, 512, 1300])
def test_parameters_folded_together_give_what_each_gives(size):
    sketcher, values = Sketcher(512, 0), torch.randn(3, 2, size)
    together, apart = torch.zeros(2, 512), torch.zeros(2, 512)
    sketcher.fold_all(together, ["a", "b", "c"], values)
    for name, rows in zip("abc", values, strict=True):
        sketcher.fold(apart, name, rows)
    torch.testing.assert_close(together, apart, rtol=1e-5, atol=1e-5)
    assert (apart != 0).sum() > min(size, 512)


@pytest.mark.parametrize("name", FACTORS)
def test_factors_and_gradients_give_the_same_sketch(name):
    factor, sketcher = FACTORS[name], Sketcher(512, 3)
    direct = sketcher.gradient("w", factor.explicit(slice(0, 2)))
    torch.testing.assert_close(factor.sketch("w", sketcher), direct, rtol=1e-4, atol=1e-4 * float(direct.abs().max()))


@pytest.mark.parametrize("name", FACTORS)
def test_norms_by_both_forms(name):
    factor = FACTORS[name]
    exact = factor.explicit(slice(0, 2)).flatten(1).norm(dim=1)
    torch.testing.assert_close(factor.squared_norms().sqrt(), exact, rtol=1e-5, atol=1e-5)


def test_signs_depend_on_seed_and_name_only():
    assert torch.equal(random_signs("0 a left 32", (7, 3)), random_signs("0 a left 32", (7, 3)))
    assert not torch.equal(random_signs("0 a left 32", (40,)), random_signs("0 b left 32", (40,)))
    assert not torch.equal(random_signs("0 a left 32", (40,)), random_signs("1 a left 32", (40,)))
    # Fixed for good: sketches of different runs and machines must agree.
    assert random_signs("0 weight fold", (8,)).tolist() == SIGNS


SIGNS = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, -1.0]


@pytest.mark.parametrize(
    "shape", [(10, 512, 1), (384, 1536, 1), (64, 64, 9), (512, 512, 9), (30522, 384, 1), (1, 1, 1)]
)
def test_what_is_kept_is_bounded(shape):
    sides = Kept.of(shape)
    assert sides.rows * sides.patches <= 2**13
    assert sides.rows <= shape[0]
    assert sides.columns <= shape[1]


WINDOWS = {
    "padded": ((12, 12), Geometry((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1)),
    "one side": ((11, 12), Geometry((2, 3), (1, 1), ((0, 1), (1, 1)), (1, 1), 1)),
    "with steps": ((13, 12), Geometry((3, 2), (2, 1), ((1, 1), (0, 0)), (1, 1), 1)),
    "with gaps": ((12, 12), Geometry((3, 3), (1, 1), ((2, 2), (2, 2)), (2, 2), 1)),
    "of a line": ((40,), Geometry((5,), (1,), ((2, 2),), (1,), 1)),
    "of a solid": ((4, 5, 6), Geometry((3, 3, 3), (1, 1, 1), ((1, 1),) * 3, (1, 1, 1), 1)),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_norms_of_convolutions_from_inner_products_between_pixels(name, monkeypatch):
    size, geometry = WINDOWS[name]
    image = torch.randn(7, 5, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    probe = geometry.filtered(image, torch.zeros(1, 5, *geometry.kernel, dtype=torch.float64))
    factor = ConvolutionFactor(torch.randn(7, 6, *probe.shape[2:], dtype=torch.float64), image, geometry)
    exact = factor.explicit(slice(0, 7)).square().sum((1, 2, 3))
    monkeypatch.setattr(ConvolutionFactor, "_pixels_pay", True)
    torch.testing.assert_close(factor.squared_norms(), exact)


@pytest.mark.parametrize(
    ("channels", "side", "form"), [(64, 8, "pixels"), (32, 16, "gradients"), (8, 2, "patches"), (4, 32, "gradients")]
)
def test_norms_of_convolutions_take_the_form_of_fewest_operations(channels, side, form, monkeypatch):
    geometry = Geometry((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    values = torch.randn(2, channels, side, side)
    factor = ConvolutionFactor(values, values, geometry)
    forms = []
    for name, attribute in (("pixels", "_norms_by_pixels"), ("gradients", "explicit")):
        original = getattr(ConvolutionFactor, attribute)
        monkeypatch.setattr(
            ConvolutionFactor,
            attribute,
            lambda self, rows, name=name, original=original: forms.append(name) or original(self, rows),
        )
    factor.squared_norms()
    assert (set(forms) or {"patches"}) == {form}


@pytest.mark.parametrize(("channels", "side", "at_once"), [(128, 4, 64), (8, 16, 2)])
def test_inner_products_between_pixels_are_taken_for_as_many_samples_as_caches_hold(
    channels, side, at_once, monkeypatch
):
    geometry = Geometry((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    values = torch.randn(64, channels, side, side)
    taken = []
    original = ConvolutionFactor._norms_by_pixels
    monkeypatch.setattr(ConvolutionFactor, "_pixels_pay", True)
    monkeypatch.setattr(
        ConvolutionFactor, "_norms_by_pixels", lambda self, rows: taken.append(rows) or original(self, rows)
    )
    ConvolutionFactor(values, values, geometry).squared_norms()
    assert max(rows.stop - rows.start for rows in taken) == at_once


@pytest.mark.parametrize(("columns", "size", "stride", "from_factors"), [(64, 32, 1, 0), (32, 16, 2, 1)])
def test_a_gradient_formed_for_its_norm_is_sketched_where_that_is_less_work(
    columns, size, stride, from_factors, monkeypatch
):
    geometry = Geometry((3, 3), (stride, stride), ((1, 1), (1, 1)), (1, 1), 1)
    torch.manual_seed(0)
    left = torch.randn(3, 64, size // stride, size // stride)
    factor = ConvolutionFactor(left, torch.randn(3, columns, size, size), geometry)
    sketcher = Sketcher(512, seed=0)
    expected = factor.sketch("w", sketcher)
    calls = []
    original = ConvolutionFactor.sketch
    monkeypatch.setattr(ConvolutionFactor, "sketch", lambda self, *args: calls.append(1) or original(self, *args))
    reduction = Reduction(3, sketcher, keep=True)
    reduction("w", [factor])
    assert len(calls) == from_factors
    sketch, squared = reduction.by_parameter["w"]
    torch.testing.assert_close(sketch, expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(squared, factor.explicit(slice(0, 3)).square().sum((1, 2, 3)))


def test_a_tied_table_is_never_projected_row_by_row():
    indices = torch.randint(0, 30_000, (2, 5))
    table = LookupFactor(indices, torch.randn(2, 5, 64), 30_000)
    head = ProductFactor(torch.randn(2, 5, 30_000), torch.randn(2, 5, 64))
    assert not SumFactor([table, head]).suits_sketch_of_gradient
    assert ProductFactor(torch.randn(2, 512, 96), torch.randn(2, 512, 96)).suits_sketch_of_gradient
