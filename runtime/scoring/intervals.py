"""Confidence intervals of scores, and what is said where one is withheld."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from runtime.metrics import Spread


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with the ends of its confidence interval; NaN if undefined.

    Attributes:
        value: the value itself.
        low, high: ends of the interval; NaN if it was withheld.
        withheld: why there is no interval; None if there is one.

    Example:
        >>> Interval(0.1, low=0.02, high=0.18).excludes_zero
        True
    """

    value: float
    low: float
    high: float
    withheld: str | None = None

    @property
    def excludes_zero(self) -> bool:
        """True if the interval lies on one side of 0: as a difference, it is significant."""
        return self.low > 0.0 or self.high < 0.0

    def hide_value_if_withheld(self) -> "Interval":
        """Return the same, without the value if its interval was withheld.

        A difference without an interval is not a finding, so it is not stated either.

        Example:
            >>> Interval(0.8, math.nan, math.nan, "only 4 images").hide_value_if_withheld().value
            nan
        """
        return self if self.withheld is None else replace(self, value=math.nan)


@dataclass(frozen=True, slots=True)
class Estimate:
    """The distribution of a score over images or patients.

    Attributes:
        spread: mean, quartiles, and the number of values.
        interval: of the mean.
    """

    spread: Spread
    interval: Interval


_MOST_NAMES = 4
"""Intervals that a note names before it counts the others."""


def withheld_notes(named: Iterable[tuple[str, Interval]]) -> list[str]:
    """Return a sentence for each reason why intervals were withheld, naming the first of them.

    Example:
        >>> few = Interval(0.8, math.nan, math.nan, "4 images are too few")
        >>> withheld_notes([("recall", few), ("IoU", few), ("accuracy", Interval(0.1, 0.0, 0.2))])
        ['Withheld, as 4 images are too few: recall, IoU.']
        >>> withheld_notes([("recall", few), ("IoU", few)])
        ['Withheld, as 4 images are too few: all intervals.']
    """
    by_reason: dict[str, list[str]] = {}
    all_names = []
    for name, interval in named:
        all_names.append(name)
        if interval.withheld is not None:
            by_reason.setdefault(interval.withheld, []).append(name)
    return [
        f"Withheld, as {reason}: "
        f"{'all intervals' if names == all_names else _first_names(list(dict.fromkeys(names)))}."
        for reason, names in by_reason.items()
    ]


def _first_names(names: Sequence[str]) -> str:
    if len(names) <= _MOST_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[:_MOST_NAMES])} and {len(names) - _MOST_NAMES} more"
