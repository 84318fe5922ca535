"""How far reviewers agree beyond chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence


def krippendorff_alpha(units: Sequence[Sequence[Hashable]]) -> float | None:
    """Krippendorff's alpha for nominal values, at most 1; 0 is chance, None where no unit has two values.

    units: the values that any number of reviewers gave each unit; units with fewer than two do not count.
    Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011.
    """
    pairable = [Counter(unit) for unit in units if len(unit) > 1]
    if not pairable:
        return None
    totals: Counter[Hashable] = sum(pairable, Counter())
    n = totals.total()
    observed = sum(_unequal_pairs(values) / (values.total() - 1) for values in pairable) / n
    expected = _unequal_pairs(totals) / (n * (n - 1))
    return 1.0 if expected == 0 else 1.0 - observed / expected


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Cohen's kappa of two reviewers' values on the same units, -1 to 1; None without units.

    Cohen, A Coefficient of Agreement for Nominal Scales, 1960.
    """
    n = len(first)
    if n == 0:
        return None
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / n
    one = Counter(first)
    two = Counter(second)
    expected = sum(one[value] * two[value] for value in one) / n**2
    return 1.0 if expected == 1 else (observed - expected) / (1 - expected)


def _unequal_pairs(values: Counter[Hashable]) -> int:
    return values.total() ** 2 - sum(count**2 for count in values.values())
