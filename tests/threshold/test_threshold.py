import numpy as np
import pytest

from oga_core.errors import OgaError
from oga_core.threshold.ranked import RankedScores

SCORES = RankedScores(np.array([0.1, 0.9, 0.5, 0.9, 0.3]))


def test_order_is_most_suspicious_first_and_ties_keep_their_position():
    assert SCORES.order.tolist() == [1, 3, 2, 4, 0]
    assert SCORES.ranks.tolist() == [4, 0, 2, 1, 3]


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
