"""Confidence intervals by resampling images, and trainings where there are several: the bootstrap.

Images are drawn with replacement. Where groups of similar images are known, whole groups are drawn:
images of one group add little to each other (Efron, Tibshirani 1993, chapters 8.6 and 13; Field,
Welsh 2007 for clusters). Intervals are percentiles of the draws, slightly wider than their level,
because a sample varies less than its population (expanded percentile interval, Hesterberg 2015).

With scores of several trainings of a network, the interval is hierarchical: it also covers which of
them happened to be run (`runtime.scoring.trainings`). With fewer than `MIN_TRAININGS` it covers the
choice of images only.

More than `MAX_DRAWN` groups are put into that many sets at random, and whole sets are drawn (random
groups, Wolter 2007, chapter 2). The standard error of G sets has a standard error of its own of
1 / sqrt(2 G), which is 1.4 %; that of a percentile of 10,000 draws is as large. Memory and time
then do not grow with the number of images.

Fewer than `MIN_UNITS` images or groups get no interval. In simulations of this bootstrap, a nominal
95 % interval of 4 images covers the true mean in 58 to 87 % of the cases, one of 10 images in 85 to
94 %, depending on the skewness.
"""

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from runtime.core.errors import ConfigError
from runtime.metrics import spread
from runtime.scoring.intervals import Estimate, Interval
from runtime.scoring.trainings import Doubles, VarianceParts, drawn_errors, training_error

Statistic = Callable[[Doubles], Doubles | float]

RESAMPLES = 10_000
LEVEL = 0.95
MIN_UNITS = 10
"""Fewest images, and fewest groups, that an interval is given for."""
MAX_DRAWN = 2_500
"""Most groups that are drawn one by one."""
_BLOCK = 1000


class Bootstrap:
    """Resamples of the images of a split; every interval uses the same draws.

    Args:
        images: number of images.
        groups: the group of each image, such as a patient's number; None if each is its own.
        resamples: number of draws.
        level: confidence level of the intervals.
        seed: of the draws.
        unit: of what `images` counts, in the reason of a withheld interval.

    Raises:
        ConfigError: there are no images, or not one group for each.

    Example:
        >>> values = np.array([0.2, 0.4, 0.6, 0.8] * 3)
        >>> interval = Bootstrap(images=12, resamples=500).mean(values)
        >>> round(interval.value, 3), interval.low < 0.5 < interval.high
        (0.5, True)
        >>> Bootstrap(images=4).mean(values[:4]).withheld
        '4 images are too few for an interval, which needs 10'
    """

    def __init__(
        self,
        images: int,
        groups: Sequence[int] | None = None,
        *,
        resamples: int = RESAMPLES,
        level: float = LEVEL,
        seed: int = 0,
        unit: str = "image",
    ) -> None:
        owners = np.arange(images) if groups is None else np.asarray(groups)
        if images < 1 or len(owners) != images:
            raise ConfigError(
                f"groups: expected one for each of {images} images, found {len(owners)}"
            )
        self.level = level
        self._owner = np.unique(owners, return_inverse=True)[1]
        self.groups = int(self._owner.max()) + 1
        self._sets, self._set = _sets(self._owner, self.groups, seed)
        self._tail = _tail(level, self._sets)
        self._resamples = resamples
        self._seed = seed
        self._unit = unit

    @cached_property
    def _draws(self) -> tuple[NDArray[np.uint16], ...]:
        """Counts of each set in each draw, [resamples, sets] in blocks: at most 50 MB."""
        rng, starts = np.random.default_rng(self._seed), range(0, self._resamples, _BLOCK)
        sizes = (min(_BLOCK, self._resamples - start) for start in starts)
        return tuple(_draw(rng, size, self._sets).astype(np.uint16) for size in sizes)

    def interval(self, per_image: Doubles, statistic: Statistic) -> Interval:
        """Return a statistic of sums over images, with its interval.

        Of several trainings, it is the mean of their statistics. The interval is withheld if fewer
        than `MIN_UNITS` images or groups contribute to the sums.

        Args:
            per_image: float64 [images, terms] or [trainings, images, terms], summed over images.
            statistic: maps sums [..., terms] to values [...].

        Example:
            >>> overlap_and_union = np.array([[3.0, 4.0], [1.0, 4.0]])
            >>> Bootstrap(2).interval(overlap_and_union, lambda s: s[..., 0] / s[..., 1]).value
            0.5
        """
        withheld = self._too_few(per_image)
        if withheld is not None:
            value = float(_by_training(per_image, statistic).mean())
            return Interval(value, math.nan, math.nan, withheld)
        return _percentiles(*self._resampled(per_image, statistic), self._tail)

    def variance_parts(self, per_image: Doubles, statistic: Statistic) -> VarianceParts:
        """Return how much images and trainings contribute to the uncertainty of a statistic.

        Args are those of `interval`.
        """
        scores = _by_training(per_image, statistic)
        draws = self._image_draws(per_image, statistic)
        valid = draws[~np.isnan(draws)]
        # The draws vary less than samples of the population do, by (n - 1) / n.
        correction = math.sqrt(self.groups / max(self.groups - 1, 1))
        return VarianceParts(
            trainings=len(scores),
            between=float(scores.std(ddof=1)) if len(scores) > 1 else math.nan,
            images=float(valid.std()) * correction if valid.size else math.nan,
            training=training_error(scores),
        )

    def units(self, per_image: Doubles) -> tuple[int, int]:
        """Return the number of images that contribute to sums, and of groups.

        Of several trainings, it is that of the one with the fewest groups.

        Args:
            per_image: float64 [images, terms] or [trainings, images, terms].
        """
        counted = [run.any(axis=1) for run in _stacked(per_image)]
        counts = [(int(some.sum()), len(np.unique(self._owner[some]))) for some in counted]
        return min(counts, key=lambda count: (count[1], count[0]))

    def _too_few(self, per_image: Doubles) -> str | None:
        images, groups = self.units(per_image)
        if groups >= MIN_UNITS:
            return None
        has = f"{images} {self._unit} is" if images == 1 else f"{images} {self._unit}s are"
        if groups < images:
            has = (
                f"{images} {self._unit}s in {'1 group' if groups == 1 else f'{groups} groups'} are"
            )
        needed = f"{MIN_UNITS} groups" if groups < images else str(MIN_UNITS)
        return f"{has} too few for an interval, which needs {needed}"

    def _resampled(self, per_image: Doubles, statistic: Statistic) -> tuple[float, Doubles]:
        """Return the statistic of the images and trainings themselves, and of every draw."""
        scores = _by_training(per_image, statistic)
        draws = self._image_draws(per_image, statistic)
        return float(scores.mean()), draws + drawn_errors(scores, self._resamples, self._seed)

    def _image_draws(self, per_image: Doubles, statistic: Statistic) -> Doubles:
        """Return the statistic of every draw of groups, mean over trainings, [resamples]."""
        total = np.zeros(self._resamples)
        runs = _stacked(per_image)
        for run in runs:
            sums = np.zeros((self._sets, run.shape[1]))
            np.add.at(sums, self._set, run)
            drawn = np.concatenate([block @ sums for block in self._draws])
            with np.errstate(invalid="ignore", divide="ignore"):
                total += np.asarray(statistic(drawn))
        return total / len(runs)

    def mean(self, values: Doubles) -> Interval:
        """Return the mean of values, without NaN, with its interval.

        Args:
            values: float64 [images] or [trainings, images].
        """
        return self.interval(stack_terms(values), ratio)

    def estimate(self, values: Doubles) -> Estimate:
        """Return the distribution of values [images], without NaN, with the mean's interval."""
        return Estimate(spread(values.tolist()), self.mean(values))

    def mean_difference(self, values: Doubles, other: "Bootstrap", others: Doubles) -> Interval:
        """Return the difference of the means on two sets of images, drawn independently.

        Args:
            values: float64 [images] or [trainings, images] of this bootstrap; NaN are ignored.
            other: the bootstrap of the second set, with as many resamples and another seed.
            others: the same of the second set; its mean is subtracted. Its trainings are others.

        Returns:
            The difference; withheld with its value if either set is too small for an interval.

        Raises:
            ValueError: both have one seed, so that their draws would not be independent.
        """
        if other._seed == self._seed:
            raise ValueError(f"expected another seed than {self._seed} for the second set")
        terms, other_terms = stack_terms(values), stack_terms(others)
        withheld = self._too_few(terms) or other._too_few(other_terms)
        if withheld is not None:
            return Interval(math.nan, math.nan, math.nan, withheld)
        value, draws = self._resampled(terms, ratio)
        other_value, other_draws = other._resampled(other_terms, ratio)
        tail = min(self._tail, other._tail)
        return _percentiles(value - other_value, draws - other_draws, tail)


def stack_terms(*columns: Doubles) -> Doubles:
    """Return columns [..., images] and one that counts images, stacked as [..., images, terms].

    Images with a NaN become zero.

    Example:
        >>> stack_terms(np.array([0.5, np.nan])).tolist()
        [[0.5, 1.0], [0.0, 0.0]]
    """
    stacked = np.stack([*columns, np.ones_like(columns[0])], axis=-1)
    stacked[np.isnan(stacked).any(axis=-1)] = 0.0
    return stacked


def ratio(sums: Doubles) -> Doubles:
    """Return the first of the sums [..., 2] divided by the second: a mean, or a share."""
    quotient: Doubles = sums[..., 0] / sums[..., 1]
    return quotient


def _stacked(per_image: Doubles) -> Doubles:
    """Return terms [trainings, images, terms], also of a single training."""
    return per_image[None] if per_image.ndim == 2 else per_image


def _by_training(per_image: Doubles, statistic: Statistic) -> Doubles:
    """Return the statistic of each training, float64 [trainings]."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(statistic(_stacked(per_image).sum(axis=1)), np.float64)


def _sets(owner: NDArray[np.intp], groups: int, seed: int) -> tuple[int, NDArray[np.intp]]:
    """Return the number of sets of groups that are drawn, and the set of each image."""
    if groups <= MAX_DRAWN:
        return groups, owner
    mixed = np.random.default_rng(seed).permutation(groups) % MAX_DRAWN
    return MAX_DRAWN, mixed[owner]


def _draw(rng: np.random.Generator, resamples: int, groups: int) -> NDArray[np.intp]:
    """Return the counts of each group in each resample, [resamples, groups]."""
    drawn = rng.integers(0, groups, (resamples, groups))
    drawn += groups * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * groups).reshape(resamples, groups)


def _tail(level: float, groups: int) -> float:
    """Return the share of draws beyond either end of an interval.

    It is Phi(-sqrt(n / (n - 1)) t), with t the quantile of Student's distribution of n - 1 degrees
    of freedom (Hesterberg 2015, section 5.3.1). The quantile is expanded around the normal one
    (Abramowitz, Stegun 1964, 26.7.5), whose error is less than 0.01 from 5 degrees on.
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
