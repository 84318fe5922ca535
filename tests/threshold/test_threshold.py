import numpy as np
import pytest

from oga_core.errors import OgaError
from oga_core.threshold.ranked import RankedScores, rank_of

SCORES = RankedScores(np.array([0.1, 0.9, 0.5, 0.9, 0.3]))


def test_order_is_most_suspicious_first_and_ties_keep_their_position():
    assert SCORES.order.tolist() == [1, 3, 2, 4, 0]
    assert SCORES.ranks.tolist() == [4, 0, 2, 1, 3]


@pytest.mark.parametrize("scale", [1e-300, 1e-6, 1.0, 1e300])
def test_the_order_is_that_of_a_stable_sort(scale):
    random = np.random.default_rng(0)
    # Ties, zeros of both signs, infinities, and values that single precision does not tell apart.
    values = scale * np.concatenate([random.integers(-3, 3, 500), 1 + 1e-12 * random.normal(size=500)])
    values[::50] = [0.0, -0.0] * 10
    values[::97] = np.resize([np.inf, -np.inf], len(values[::97]))
    ranked = RankedScores(values)
    assert (ranked.order == np.argsort(-values, kind="stable")).all()
    missing = np.where(random.random(1000) < 0.1, np.nan, values)
    order = RankedScores.of(missing).order
    assert (
        order == np.argsort(-np.nan_to_num(missing, nan=-np.inf, posinf=np.inf, neginf=-np.inf), kind="stable")
    ).all()
    assert [rank_of(missing, row) for row in order[:30]] == list(range(30))


def test_flagged_count_and_threshold_agree():
    assert SCORES.flagged(0.4).tolist() == [1, 3]
    assert SCORES.threshold(0.6) == 0.5
    assert SCORES.threshold(0.0) == float("inf")


@pytest.mark.parametrize("fraction", [-0.1, 1.1])
def test_trim_fraction_outside_its_range_is_refused(fraction):
    with pytest.raises(OgaError, match=r"from 0 to 1, got"):
        SCORES.count(fraction)


@pytest.mark.parametrize(("fraction", "count"), [(0.35, 2), (0.25, 1), (0.31, 2), (0.09, 0), (1.0, 5)])
def test_the_count_is_the_nearest_whole_number(fraction, count):
    assert SCORES.count(fraction) == count
    assert len(SCORES.flagged(fraction)) == count
