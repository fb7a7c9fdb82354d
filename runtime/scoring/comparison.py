"""The difference between two networks on the same images, and how sure it is.

The bootstrap draws images with replacement; where groups of images that show nearly the same are
known, it draws whole groups, since images of one group tell little more than one of them does
(Efron, Tibshirani 1993, chapters 8.6 and 13; Field, Welsh 2007 for clusters). Intervals are
percentiles of the draws, a little farther out than their level, because a sample is spread less
than what it was drawn from (the expanded percentile interval, Hesterberg 2015). They are about the
images: that another training run of the same network would score otherwise is not in them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from runtime.core.errors import ConfigError
from runtime.metrics import METRICS, PixelSums, fractions, scores
from runtime.scoring.evaluation import Evaluation

Doubles = NDArray[np.float64]
Kind = Literal["per image", "pooled", "standard deviation", "per image at 0.5", "pooled at 0.5"]

RESAMPLES = 10_000
LEVEL = 0.95
_BLOCK = 1000


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with the ends of its interval; NaN where it is undefined."""

    value: float
    low: float
    high: float


class Bootstrap:
    """Draws groups of images with replacement, the same draws for whatever is asked of it.

    Args:
        groups: a number for each image, equal within a group; None where each is its own.
        images: how many images there are.

    Raises:
        ConfigError: there are no images, or not a group for each.
    """

    def __init__(
        self,
        images: int,
        groups: Sequence[int] | None = None,
        *,
        resamples: int = RESAMPLES,
        level: float = LEVEL,
        seed: int = 0,
    ) -> None:
        owners = range(images) if groups is None else groups
        if images < 1 or len(owners) != images:
            raise ConfigError(f"groups: expected one for each of {images} images, found another")
        self.level = level
        self._owner = np.unique(np.asarray(owners), return_inverse=True)[1]
        self.groups = int(self._owner.max()) + 1
        self._tail = _tail(level, self.groups)
        self._resamples = resamples
        self._seed = seed

    @cached_property
    def _draws(self) -> NDArray[np.float32]:
        """How often each group is drawn, [resamples, groups]: 40 kB a group, made when needed."""
        rng = np.random.default_rng(self._seed)
        draws = np.empty((self._resamples, self.groups), np.float32)
        for start in range(0, self._resamples, _BLOCK):
            block = draws[start : start + _BLOCK]
            block[:] = _draw(rng, len(block), self.groups)
        return draws

    def interval(
        self, per_image: Doubles, statistic: Callable[[Doubles], Doubles | float]
    ) -> Interval:
        """Return a statistic of sums over images, with its interval.

        Args:
            per_image: float64 [images, terms], what is summed over images.
            statistic: turns sums [..., terms] into values [...].
        """
        return _percentiles(*self._resampled(per_image, statistic), self._tail)

    def _resampled(
        self, per_image: Doubles, statistic: Callable[[Doubles], Doubles | float]
    ) -> tuple[float, Doubles]:
        """Return the statistic of the images themselves, and of every draw."""
        sums = np.zeros((self.groups, per_image.shape[1]))
        np.add.at(sums, self._owner, per_image)
        with np.errstate(invalid="ignore", divide="ignore"):
            return float(statistic(sums.sum(axis=0))), np.asarray(statistic(self._draws @ sums))

    def mean(self, values: Doubles) -> Interval:
        """Return the mean of values [images] over images, NaN left out, with its interval."""
        return self.interval(_terms(values), _mean)

    def mean_difference(self, values: Doubles, other: "Bootstrap", others: Doubles) -> Interval:
        """Return the mean of values minus that of values of other images, drawn independently.

        Args:
            other: over the images of `others`, with as many resamples and another seed.
        """
        value, draws = self._resampled(_terms(values), _mean)
        other_value, other_draws = other._resampled(_terms(others), _mean)
        tail = min(self._tail, other._tail)
        return _percentiles(value - other_value, draws - other_draws, tail)


def _draw(rng: np.random.Generator, resamples: int, groups: int) -> NDArray[np.intp]:
    """Return how often each group is drawn in each resample, [resamples, groups]."""
    drawn = rng.integers(0, groups, (resamples, groups))
    drawn += groups * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * groups).reshape(resamples, groups)


def _mean(sums: Doubles) -> Doubles:
    mean: Doubles = sums[..., 0] / sums[..., 1]
    return mean


def _tail(level: float, groups: int) -> float:
    """Return the share of draws beyond either end of an interval.

    Phi(-sqrt(n / (n - 1)) t), with t the quantile of Student's distribution of n - 1 degrees of
    freedom (Hesterberg 2015, section 5.3.1), here by its expansion around the normal one
    (Abramowitz, Stegun 1964, 26.7.5), which is off by less than 0.01 from 5 degrees on.
    """
    normal = NormalDist()
    degrees = max(groups - 1, 1)
    z = normal.inv_cdf(0.5 + level / 2.0)
    t = (
        z
        + (z**3 + z) / (4 * degrees)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * degrees**3)
    )
    return normal.cdf(-math.sqrt((degrees + 1) / degrees) * t)


def _percentiles(value: float, draws: Doubles, tail: float) -> Interval:
    valid = draws[~np.isnan(draws)]
    if valid.size == 0:
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(valid, (tail, 1.0 - tail))
    return Interval(value, float(low), float(high))


@dataclass(frozen=True, slots=True)
class Difference:
    """How one statistic differs: `other` minus `one`.

    Attributes:
        metric: "accuracy", "recall", "precision", "iou" or "dice".
        kind: how it is summarized over images; "standard deviation" is of the soft metric over
            images, the narrowness of its distribution.
        left_out: images where the metric is undefined for one of the two.
    """

    metric: str
    kind: Kind
    one: float
    other: float
    difference: Interval
    left_out: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two networks on the same images.

    Attributes:
        groups: how many groups of images were drawn from; as many as images where none are known.
        level: of the intervals.
    """

    one: str
    other: str
    images: int
    groups: int
    level: float
    differences: tuple[Difference, ...]

    def find(self, metric: str, kind: Kind = "per image") -> Difference:
        """Return the difference of one metric. Raises KeyError where it was not compared."""
        for difference in self.differences:
            if (difference.metric, difference.kind) == (metric, kind):
                return difference
        raise KeyError(f"{metric}, {kind}")


def compare(one: Evaluation, other: Evaluation, bootstrap: Bootstrap | None = None) -> Comparison:
    """Compare two evaluations of the same images, in every metric.

    Args:
        bootstrap: over these images; by default each image is its own group.

    Raises:
        ConfigError: the evaluations are of different images.
    """
    if [s.file for s in one.samples] != [s.file for s in other.samples]:
        raise ConfigError(
            f"{one.name} and {other.name}: expected evaluations of the same images, found others"
        )
    draws = bootstrap or Bootstrap(len(one.samples))
    differences: list[Difference] = []
    soft = _soft(one), _soft(other)
    hard = _thresholded(one), _thresholded(other)
    for metric in METRICS:
        differences += [
            _of_means(draws, metric, "per image", *soft),
            _of_pooled(draws, metric, "pooled", *soft),
            _of_deviations(draws, metric, *soft),
            _of_means(draws, metric, "per image at 0.5", *hard),
            _of_pooled(draws, metric, "pooled at 0.5", *hard),
        ]
    return Comparison(
        one.name, other.name, len(one.samples), draws.groups, draws.level, tuple(differences)
    )


def soft_values(evaluation: Evaluation, metric: str) -> Doubles:
    """Return a soft metric of each image, float64 [images], NaN where it is undefined."""
    return _values(_soft(evaluation), metric)


def _soft(evaluation: Evaluation) -> list[PixelSums]:
    return [sample.soft for sample in evaluation.samples]


def _thresholded(evaluation: Evaluation) -> list[PixelSums]:
    return [sample.thresholded for sample in evaluation.samples]


def _values(images: list[PixelSums], metric: str) -> Doubles:
    return np.array([getattr(scores(sums), metric) for sums in images])


def _terms(*columns: Doubles) -> Doubles:
    """Stack columns and a last one that counts images; rows with a NaN become zero."""
    stacked = np.stack([*columns, np.ones_like(columns[0])], axis=1)
    stacked[np.isnan(stacked).any(axis=1)] = 0.0
    return stacked


def _of_means(
    draws: Bootstrap, metric: str, kind: Kind, one: list[PixelSums], other: list[PixelSums]
) -> Difference:
    terms = _terms(_values(one, metric), _values(other, metric))
    interval = draws.interval(terms, lambda s: (s[..., 1] - s[..., 0]) / s[..., 2])
    counted = terms[:, 2].sum()
    means = terms[:, :2].sum(axis=0) / counted if counted else np.full(2, np.nan)
    left_out = len(terms) - int(counted)
    return Difference(metric, kind, float(means[0]), float(means[1]), interval, left_out)


def _of_pooled(
    draws: Bootstrap, metric: str, kind: Kind, one: list[PixelSums], other: list[PixelSums]
) -> Difference:
    pairs = zip(one, other, strict=True)
    terms = np.array([(*fractions(a)[metric], *fractions(b)[metric]) for a, b in pairs])
    interval = draws.interval(terms, lambda s: s[..., 2] / s[..., 3] - s[..., 0] / s[..., 1])
    sums = terms.sum(axis=0)
    with np.errstate(invalid="ignore"):
        first, second = sums[0] / sums[1], sums[2] / sums[3]
    return Difference(metric, kind, float(first), float(second), interval, 0)


def _of_deviations(
    draws: Bootstrap, metric: str, one: list[PixelSums], other: list[PixelSums]
) -> Difference:
    first, second = _values(one, metric), _values(other, metric)
    terms = _terms(first, first**2, second, second**2)

    def deviation(s: Doubles, column: int) -> Doubles:
        mean = s[..., column] / s[..., 4]
        # Clipped, since equal values may leave a variance of minus a rounding.
        variance = np.maximum(s[..., column + 1] / s[..., 4] - mean**2, 0.0)
        root: Doubles = np.sqrt(variance)
        return root

    interval = draws.interval(terms, lambda s: deviation(s, 2) - deviation(s, 0))
    sums = terms.sum(axis=0)
    with np.errstate(invalid="ignore"):
        values = float(deviation(sums, 0)), float(deviation(sums, 2))
    left_out = len(terms) - int(sums[4])
    return Difference(metric, "standard deviation", *values, interval, left_out)
