"""The closed form for leaving samples out against fits that leave them out, and what robust fits and mixtures see."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from problems import numbers
from sklearn.linear_model import Ridge

from oga_core.findings.targets.mixture import residual_mixture
from oga_core.findings.targets.numbers import number_findings, suggested_values
from oga_core.gradient_sketch import GradientSketch
from oga_core.scores.regression.ridge import PENALTIES, left_out_residuals, robust_ridge
from oga_core.scores.regression.witnesses import _witness, has_memorised, unusual_value, witnesses
from oga_core.scores.tables.boosting import boosted_values

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 5))
Y = X @ np.array([3.0, -2.0, 0.0, 1.0, 0.5]) + 7 + RNG.normal(size=40)


@pytest.mark.parametrize("weights", [np.ones(40), np.linspace(0.2, 1, 40)])
@pytest.mark.parametrize("penalty", [2, 9])
def test_residuals_are_those_of_a_fit_without_the_sample(weights: np.ndarray, penalty: int) -> None:
    residuals = left_out_residuals(X, Y, weights)[:, penalty]
    for i in (0, 17, 39):
        others = np.arange(40) != i
        fit = Ridge(alpha=PENALTIES[penalty] * weights.sum())
        fit.fit(X[others], Y[others], sample_weight=weights[others])
        assert residuals[i] == pytest.approx(Y[i] - fit.predict(X[i : i + 1])[0], rel=1e-6)


def test_a_sample_without_weight_moves_no_other() -> None:
    weights = np.ones(40)
    weights[3] = 0
    moved = Y.copy()
    moved[3] += 1000
    before, after = left_out_residuals(X, Y, weights), left_out_residuals(X, moved, weights)
    others = np.arange(40) != 3
    np.testing.assert_allclose(before[others], after[others], rtol=1e-6, atol=1e-6)


def test_a_robust_fit_is_not_moved_by_wrong_numbers() -> None:
    wrong = Y.copy()
    wrong[:6] += 40
    fit = robust_ridge(X, wrong)
    assert fit.weights[:6].max() == 0
    assert np.abs(fit.residuals[6:]).max() < 4
    np.testing.assert_allclose(fit.residuals[:6], 40, atol=4)


def test_an_error_is_judged_by_those_around_it() -> None:
    generator = np.random.default_rng(3)
    x = np.sort(generator.uniform(-1, 1, 400))
    sizes = np.where(x < 0, 0.05, 2.0)  # the left half is known well
    y = x + sizes * generator.normal(size=400)
    y[100] = x[100] + 1.0  # twenty usual errors there, and half of one on the right
    around = _witness(x[:, None], y)
    assert 10 < around.usual[300] / around.usual[50] < 200
    scaled = np.abs(around.residuals) / around.usual
    assert scaled.argmax() == 100
    assert np.abs(around.residuals).argmax() != 100


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2])
def test_the_mixture_tells_how_many_are_wrong(share: float) -> None:
    rng = np.random.default_rng(1)
    residuals = rng.standard_t(8, size=4000)
    wrong = np.arange(4000) < round(share * 4000)
    residuals[wrong] = rng.uniform(-40, 40, wrong.sum())
    mixture = residual_mixture(residuals, rng.normal(0, 15, 4000))
    assert mixture.rate == pytest.approx(share, abs=0.025)
    assert mixture.low <= max(share, 0.004)
    assert mixture.high >= share - 0.025
    assert mixture.probability[np.abs(residuals) < 2].max(initial=0) < 0.2
    assert ((mixture.probability >= 0) & (mixture.probability <= 1)).all()


def test_numbers_of_other_samples_are_counted_too() -> None:
    rng = np.random.default_rng(2)
    residuals = rng.normal(size=4000)
    others = rng.normal(0, 5, 4000)
    residuals[:600] = others[:600]
    mixture = residual_mixture(residuals, others)
    assert mixture.rate == pytest.approx(0.15, abs=0.03)
    assert mixture.low < 0.15 < mixture.high
    assert mixture.low < mixture.rate, "many of them lie where right numbers do"


@pytest.mark.parametrize("spread", [2.0, 3.0, 8.0])
def test_the_interval_counts_numbers_of_others_that_lie_where_right_ones_do(spread: float) -> None:
    rng = np.random.default_rng(4)
    residuals = rng.normal(size=2000)
    others = rng.normal(0, spread, 2000)
    residuals[:300] = others[:300]
    mixture = residual_mixture(residuals, others)
    assert mixture.low < 0.15 < mixture.high
    far = residual_mixture(np.concatenate([rng.normal(size=1700), rng.uniform(60, 90, 300)]), others)
    assert spread == 2 or 0.13 < far.low < far.high < 0.25, "none of the others could be so far away"


def test_a_memorised_model_is_not_asked() -> None:
    sketch, wrong = numbers(300)
    learnt = replace(
        sketch, outputs=np.asarray(sketch.targets, dtype=np.float32)[:, None], middle_features=sketch.inputs
    )
    assert not has_memorised(sketch)
    assert has_memorised(learnt)
    assert len(witnesses(learnt)) == len(witnesses(sketch)) - 1, "none of its layers"
    assert len(witnesses(replace(learnt, inputs=None))) == 3, "its middle layers are the earliest that is known"
    scores = unusual_value(learnt)
    assert scores[wrong].min() > np.quantile(scores[~wrong], 0.95)
    assert "memorised" in number_findings(learnt, list(range(300)))[1]["warnings"][0]


def test_a_slip_is_moved_back_and_a_shift_replaced() -> None:
    sketch, _ = numbers(300, wrong_share=0)
    targets = np.array(sketch.targets)
    true = targets.copy()
    targets[0] *= 10
    targets[1] += 60
    changed = replace(sketch, targets=targets)
    values, slips = suggested_values(changed)
    assert slips.tolist().count(True) == 1
    assert slips[0]
    assert values[0] == pytest.approx(true[0])
    assert values[1] == pytest.approx(true[1], abs=6)
    columns, fields = number_findings(changed, [f"h{i}" for i in range(300)])
    assert columns["finding"][:2].tolist() == ["likely decimal slip", "likely wrong value"]
    assert "moved by one place" in columns["reason"][0]
    assert columns["suggested_label"][1]
    assert columns["suggested_label"][5] == ""
    assert fields["suggested_trim_fraction"] < 0.03


def test_no_two_fits_say_the_same() -> None:
    sketch, _ = numbers(300)
    fits = witnesses(sketch)
    assert all(not np.allclose(one.residuals, other.residuals) for one, other in itertools.combinations(fits, 2))
    assert all((fit.usual > 0).all() for fit in fits)


def test_trees_see_what_columns_do_together_and_pass_over_far_numbers() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 2)).astype(np.float32)
    true = 100 + 20 * ((rows[:, 0] > 0) ^ (rows[:, 1] > 0)) + rng.normal(size=300)
    given = true.copy()
    wrong = np.sort(rng.choice(300, 30, replace=False))
    given[wrong] *= 10
    sketch = GradientSketch(np.full(300, -1), np.zeros(300), np.zeros((300, 2)), inputs=rows, targets=given)
    *_, trees = witnesses(sketch)
    assert np.median(np.abs(given - trees.residuals - true)) < 3, "a straight line is 10 off"
    assert np.sort(np.argsort(-np.abs(trees.residuals))[:30]).tolist() == wrong.tolist()
    turned = np.random.default_rng(1).permutation(300)
    again = boosted_values(rows[turned], given[turned], np.argsort(turned))
    np.testing.assert_allclose(again, boosted_values(rows, given, np.arange(300))[turned])


def test_of_numbers_that_are_all_the_same_none_is_called_wrong() -> None:
    sketch, _ = numbers(300)
    columns, fields = number_findings(replace(sketch, targets=np.full(300, 5.0)), list(range(300)))
    assert set(columns["finding"]) == {"none"}
    assert fields["noise_rate"] == {"rate": 0.0, "low": 0.0, "high": 0.0}
    assert "All numbers are 5" in fields["warnings"][0]
