import pytest

from oga_core.review.agreement import cohen_kappa, krippendorff_alpha


def test_alpha_of_krippendorffs_own_example_with_missing_values():
    """Four observers, twelve units, nominal: 0.743 (Krippendorff 2011, section C)."""
    columns = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
        [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
    ]
    units = [[value for value in unit if value is not None] for unit in zip(*columns, strict=True)]
    assert krippendorff_alpha(units) == pytest.approx(0.743, abs=0.0005)


def test_alpha_of_two_observers_without_missing_values():
    """Two observers, twelve units, nominal: 0.692 (Krippendorff 2011, section B)."""
    first, second = "aabbdcccedda", "babbbccceddd"
    assert krippendorff_alpha(list(zip(first, second, strict=True))) == pytest.approx(0.692, abs=0.0005)


def test_kappa_of_a_known_table():
    """20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: observed 0.7, expected 0.5, kappa 0.4."""
    first = "y" * 25 + "n" * 25
    second = "y" * 20 + "n" * 5 + "y" * 10 + "n" * 15
    assert cohen_kappa(first, second) == pytest.approx(0.4)


def test_perfect_and_missing_agreement():
    assert krippendorff_alpha([["keep", "keep"], ["remove", "remove"]]) == 1.0
    assert krippendorff_alpha([["keep", "keep"], ["keep", "keep"]]) == 1.0
    assert krippendorff_alpha([["keep"], ["remove"], []]) is None
    assert cohen_kappa([], []) is None
    assert cohen_kappa("ab", "ba") == pytest.approx(-1.0)
