"""When a network has been timed often enough: the precision of a median, and the rule to stop."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.core.errors import ConfigError

Doubles = NDArray[np.float64]

_LEVEL = 0.95
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class StoppingRule:
    """When a network has been timed often enough: its median is precise, or its time is up.

    Attributes:
        precision: half the width of the median's 95 % interval, as a share of the median, that is
            precise enough.
        min_runs: runs before which the interval is not looked at.
        max_runs: runs after which the precision no longer matters.
        max_seconds: wall time for one network, untimed runs included; networks that are timed
            together share the sum of theirs.

    Raises:
        ConfigError: a number is out of its range.

    Example:
        >>> rule = StoppingRule(precision=0.01, min_runs=6)
        >>> rule.is_met(np.full(5, 0.02)), rule.is_met(np.full(6, 0.02))
        (False, True)
    """

    precision: float = 0.01
    min_runs: int = 30
    max_runs: int = 1000
    max_seconds: float = 30.0

    def __post_init__(self) -> None:
        if not (0.0 < self.max_seconds < math.inf and self.precision > 0.0):
            raise ConfigError(
                f"expected seconds and a precision above 0, found {self.max_seconds:g} and "
                f"{self.precision:g}"
            )

    @classmethod
    def exactly(cls, runs: int, *, max_seconds: float = _DAY_S) -> "StoppingRule":
        """Return the rule that stops after a number of runs, however precise the median is."""
        return cls(min_runs=runs, max_runs=runs, max_seconds=max_seconds)

    def is_met(self, seconds: Doubles) -> bool:
        """Return whether a network's samples suffice; `max_seconds` is not considered."""
        if len(seconds) >= self.max_runs:
            return True
        if len(seconds) < self.min_runs:
            return False
        low, high = median_interval(seconds, _LEVEL)
        return high - low <= 2.0 * self.precision * float(np.median(seconds))


def median_interval(samples: Doubles, level: float) -> tuple[float, float]:
    """Return the ends of a median's confidence interval, by order statistics.

    It holds for independent samples of any distribution (David, Nagaraja 2003, section 7.1).

    Args:
        level: of confidence, in (0, 1).

    Returns:
        Lower and upper end; NaN with too few samples. 95 % needs at least 6, 99 % at least 8.

    Example:
        >>> low, high = median_interval(np.arange(1.0, 21.0), 0.95)
        >>> float(low), float(high)
        (6.0, 15.0)
    """
    rank = _rank(len(samples), (1.0 - level) / 2.0)
    if rank == 0:
        return math.nan, math.nan
    ordered = np.sort(samples)
    return float(ordered[rank - 1]), float(ordered[-rank])


def _rank(count: int, tail: float) -> int:
    """Return the largest r with P(B < r) <= `tail`, B binomial of `count` and 1/2; 0 for none."""
    term, below, rank = 1, 0, 0
    while True:
        below += term
        # Integers of any length divide exactly where floats would underflow.
        if below / (1 << count) > tail:
            return rank
        term = term * (count - rank) // (rank + 1)
        rank += 1
