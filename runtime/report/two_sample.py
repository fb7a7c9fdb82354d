"""Kolmogorov-Smirnov tests between splits, corrected for their number."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations


@dataclass(frozen=True, slots=True)
class TwoSampleTest:
    """One quantity compared between two splits.

    Attributes:
        quantity: the compared quantity.
        first, second: the splits.
        first_n, second_n: their numbers of values.
        statistic: D, the largest distance between the two empirical distribution functions, in
            [0, 1]; NaN if a split has no values.
        p_value: two-sided, for independent values; NaN if a split has no values.
        holm_p_value: the same after Holm's correction over all tests.
    """

    quantity: str
    first: str
    second: str
    first_n: int
    second_n: int
    statistic: float
    p_value: float
    holm_p_value: float


def compare_splits(
    values: Mapping[str, Mapping[str, Sequence[float]]],
) -> tuple[TwoSampleTest, ...]:
    """Compare every quantity between every pair of splits.

    The p-values are scipy's: exact up to 10000 values per split, where ties make them larger than
    necessary, and asymptotic beyond (Hodges 1958, Arkiv för Matematik 3).

    Args:
        values: the values by quantity and split.
    """
    tests = [
        _compare(quantity, first, second, by_split)
        for quantity, by_split in values.items()
        for first, second in combinations(by_split, 2)
    ]
    corrected = holm([test.p_value for test in tests])
    return tuple(replace(test, holm_p_value=p) for test, p in zip(tests, corrected, strict=True))


def _compare(
    quantity: str, first: str, second: str, values: Mapping[str, Sequence[float]]
) -> TwoSampleTest:
    from scipy.stats import ks_2samp

    statistic = p_value = math.nan
    if len(values[first]) and len(values[second]):
        result = ks_2samp(values[first], values[second])
        statistic, p_value = float(result.statistic), float(result.pvalue)
    sizes = len(values[first]), len(values[second])
    return TwoSampleTest(quantity, first, second, *sizes, statistic, p_value, math.nan)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number (Holm 1979, Scandinavian Journal of Statistics 6).

    The k-th smallest of m is multiplied by m - k + 1, and is at least the one before it and at most
    1. NaN stays NaN and is not counted.

    Example:
        >>> holm([0.01, 0.04])
        [0.02, 0.04]
    """
    order = sorted(
        (i for i, p in enumerate(p_values) if not math.isnan(p)), key=lambda i: p_values[i]
    )
    corrected = [math.nan] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected
