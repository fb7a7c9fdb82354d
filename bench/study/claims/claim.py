"""A claim of the paper: the numbers that it is judged by, and the verdict."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from runtime.scoring.bootstrap import LEVEL
from runtime.scoring.intervals import Interval
from runtime.scoring.trainings import MIN_TRAININGS, Doubles, training_error, why_undecided

ClaimVerdict = Literal["agrees", "disagrees", "undecided"]


@dataclass(frozen=True, slots=True)
class Measure:
    """A number that a claim says to be above or below a limit.

    Attributes:
        text: of what, in words.
        value: with its interval; withheld where too few trainings are behind it.
        above: whether the claim says that the value is above the limit, or else below.
        by_training: the value of each training; empty where it is no mean over trainings.
    """

    text: str
    value: Interval
    above: bool
    limit: float
    by_training: tuple[float, ...] = ()

    @property
    def verdict(self) -> ClaimVerdict:
        """The verdict of the interval: undecided where it contains the limit, or is withheld.

        Example:
            >>> Measure("gain", Interval(0.2, 0.1, 0.3), above=True, limit=0.0).verdict
            'agrees'
        """
        low, high, limit = self.value.low, self.value.high, self.limit
        if low > limit if self.above else high < limit:
            return "agrees"
        if high <= limit if self.above else low >= limit:
            return "disagrees"
        return "undecided"


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim of the paper, and what this study found.

    Attributes:
        letter: "a" to "l".
        text: the claim, a sentence without its period.
        reading: of the metrics that it is judged by: "soft", "at 0.5", or empty.
        measures: all must agree for the claim to agree.
        note: why it cannot be decided, whatever the measures are; else empty.
    """

    letter: str
    text: str
    reading: str
    measures: tuple[Measure, ...]
    note: str = ""

    @property
    def verdict(self) -> ClaimVerdict:
        """It agrees where every measure does, and disagrees where one does."""
        verdicts = {measure.verdict for measure in self.measures}
        if self.note or verdicts == set():
            return "undecided"
        if "disagrees" in verdicts:
            return "disagrees"
        return "undecided" if "undecided" in verdicts else "agrees"

    @property
    def shown(self) -> str:
        """The verdict as it is displayed, with the note behind it.

        Example:
            >>> Claim("i", "A beats B", "soft", (), note="one training").shown
            'undecided: one training'
        """
        return f"{self.verdict}: {self.note}" if self.note else self.verdict


def over_trainings(
    text: str,
    values: Sequence[float],
    *,
    above: float | None = None,
    below: float | None = None,
    ratio: bool = False,
) -> Measure:
    """Return a measure as the mean over trainings, with Student's 95 % interval.

    Args:
        values: one for each training.
        above, below: the limit, as one of them.
        ratio: whether the values are ratios, whose logarithms are averaged.

    Example:
        >>> over_trainings("gain", [0.2, 0.3, 0.25], above=0.0).verdict
        'agrees'
        >>> over_trainings("gain", [0.2], above=0.0).value.withheld
        'one training is too few for an interval, which needs 3'
    """
    assert (above is None) != (below is None)
    limit = below if above is None else above
    assert limit is not None
    array = np.asarray(values, np.float64)
    if ratio:
        logarithms = np.log(np.where(array > 0.0, array, np.nan))
        value, low, high = (math.exp(end) for end in _students(logarithms))
    else:
        value, low, high = _students(array)
    interval = Interval(value, low, high, _why_withheld(len(values)))
    return Measure(text, interval, above is not None, limit, tuple(array.tolist()))


def _students(values: Doubles) -> tuple[float, float, float]:
    """Return the mean of the trainings' values, and the ends of Student's interval."""
    from scipy.stats import t as student

    mean = float(values.mean())
    if len(values) < MIN_TRAININGS:
        return mean, math.nan, math.nan
    half = float(student.ppf(0.5 + LEVEL / 2.0, len(values) - 1)) * training_error(values)
    return mean, mean - half, mean + half


def _why_withheld(trainings: int) -> str | None:
    if trainings >= MIN_TRAININGS:
        return None
    verb = "is" if trainings == 1 else "are"
    return f"{why_undecided(trainings)} {verb} too few for an interval, which needs {MIN_TRAININGS}"


def exactly(
    text: str, value: float, *, above: float | None = None, below: float | None = None
) -> Measure:
    """Return a measure that is known without error, such as a count in the data set."""
    limit = below if above is None else above
    assert limit is not None
    return Measure(text, Interval(value, value, value), above is not None, limit)
