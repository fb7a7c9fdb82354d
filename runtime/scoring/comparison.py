"""The difference between two networks on the same images, with confidence intervals."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from runtime.core.errors import ConfigError
from runtime.metrics import METRICS, PixelSums, fractions, scores
from runtime.scoring.bootstrap import Bootstrap, Doubles, Interval, stack_terms
from runtime.scoring.evaluation import Evaluation

Summary = Literal["per image", "pooled", "standard deviation", "per image at 0.5", "pooled at 0.5"]
"""How a metric is summarized over images."""


@dataclass(frozen=True, slots=True)
class MetricDifference:
    """The difference of one metric between two networks: `other` minus `one`.

    Attributes:
        metric: "accuracy", "recall", "precision", "iou" or "dice".
        kind: how the metric is summarized over images; "standard deviation" is that of the soft
            metric over images.
        one, other: the summary of each network.
        difference: `other` minus `one`, with its interval.
        left_out: number of images where the metric is undefined for one of the two.
    """

    metric: str
    kind: Summary
    one: float
    other: float
    difference: Interval
    left_out: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two networks on the same images.

    Attributes:
        one, other: the names of the networks.
        images: number of images.
        groups: number of groups that the bootstrap draws; equal to `images` if none are known.
        level: confidence level of the intervals.
        differences: of every metric and summary, `other` minus `one`.
    """

    one: str
    other: str
    images: int
    groups: int
    level: float
    differences: tuple[MetricDifference, ...]

    def find(self, metric: str, kind: Summary = "per image") -> MetricDifference:
        """Return the difference of one metric. Raises KeyError if it was not compared."""
        for difference in self.differences:
            if (difference.metric, difference.kind) == (metric, kind):
                return difference
        raise KeyError(f"{metric}, {kind}")


def compare(one: Evaluation, other: Evaluation, bootstrap: Bootstrap | None = None) -> Comparison:
    """Compare two evaluations of the same images, in every metric.

    Args:
        one, other: the differences are those of `other` minus `one`.
        bootstrap: of these images; by default, each image is its own group.

    Raises:
        ConfigError: the evaluations are of different images.

    Example:
        >>> from pathlib import Path
        >>> from runtime.data.samples import Sample
        >>> from runtime.scoring.evaluation import score
        >>> mask = np.eye(4, dtype=np.uint8)
        >>> samples = [Sample(Path(n), n, 4, 4, ()) for n in ("1.png", "2.png", "3.png")]
        >>> half = score("half", (4, 4), samples, [(mask * np.float32(0.5), mask)] * 3)
        >>> exact = score("exact", (4, 4), samples, [(mask.astype(np.float32), mask)] * 3)
        >>> recall = compare(half, exact).find("recall")
        >>> recall.one, recall.other, recall.difference.excludes_zero
        (0.5, 1.0, True)
    """
    if [s.file for s in one.samples] != [s.file for s in other.samples]:
        raise ConfigError(f"{one.name} and {other.name} were not evaluated on the same images")
    draws = bootstrap or Bootstrap(len(one.samples))
    differences: list[MetricDifference] = []
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
    """Return a soft metric of each image, float64 [images], NaN where undefined."""
    return _values(_soft(evaluation), metric)


def _soft(evaluation: Evaluation) -> list[PixelSums]:
    return [sample.soft for sample in evaluation.samples]


def _thresholded(evaluation: Evaluation) -> list[PixelSums]:
    return [sample.thresholded for sample in evaluation.samples]


def _values(images: list[PixelSums], metric: str) -> Doubles:
    return np.array([getattr(scores(sums), metric) for sums in images])


def _of_means(
    draws: Bootstrap, metric: str, kind: Summary, one: list[PixelSums], other: list[PixelSums]
) -> MetricDifference:
    terms = stack_terms(_values(one, metric), _values(other, metric))
    interval = draws.interval(terms, lambda s: (s[..., 1] - s[..., 0]) / s[..., 2])
    counted = terms[:, 2].sum()
    means = terms[:, :2].sum(axis=0) / counted if counted else np.full(2, np.nan)
    left_out = len(terms) - int(counted)
    return MetricDifference(metric, kind, float(means[0]), float(means[1]), interval, left_out)


def _of_pooled(
    draws: Bootstrap, metric: str, kind: Summary, one: list[PixelSums], other: list[PixelSums]
) -> MetricDifference:
    pairs = zip(one, other, strict=True)
    terms = np.array([(*fractions(a)[metric], *fractions(b)[metric]) for a, b in pairs])
    interval = draws.interval(terms, lambda s: s[..., 2] / s[..., 3] - s[..., 0] / s[..., 1])
    sums = terms.sum(axis=0)
    with np.errstate(invalid="ignore"):
        first, second = sums[0] / sums[1], sums[2] / sums[3]
    return MetricDifference(metric, kind, float(first), float(second), interval, 0)


def _of_deviations(
    draws: Bootstrap, metric: str, one: list[PixelSums], other: list[PixelSums]
) -> MetricDifference:
    first, second = _values(one, metric), _values(other, metric)
    terms = stack_terms(first, first**2, second, second**2)

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
    return MetricDifference(metric, "standard deviation", *values, interval, left_out)
