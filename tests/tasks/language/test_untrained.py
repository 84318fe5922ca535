"""Rows that a trainer drops are listed and are no fault of the data; unreadable ones are."""

import pytest

from oga_core.errors import OgaError
from oga_core.gradients.batches import stop_above_share
from oga_core.samples import Problem


def problems(n: int, *, untrained: bool) -> dict[int, Problem]:
    return {i: Problem(f"r{i}", i, "why", untrained) for i in range(n)}


def test_many_rows_may_be_untrained():
    stop_above_share(problems(50, untrained=True), 100)


def test_few_rows_may_be_unreadable():
    stop_above_share(problems(5, untrained=False), 100)
    with pytest.raises(OgaError, match=r"6 of 100 samples cannot be read or scored.*r0: why"):
        stop_above_share(problems(6, untrained=False), 100)


def test_untrained_rows_do_not_make_unreadable_ones_too_many():
    stop_above_share({**problems(50, untrained=True), 60: Problem("x", 60, "bad")}, 100)


def test_a_set_of_which_nothing_is_trained_on_is_refused():
    with pytest.raises(OgaError, match=r"Of none of the 9 rows anything is trained on.*a larger max_length"):
        stop_above_share(problems(9, untrained=True), 9)
