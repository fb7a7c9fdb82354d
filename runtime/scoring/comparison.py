"""The difference between two networks on the same images, with confidence intervals."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from runtime.core.errors import ConfigError
from runtime.metrics import METRICS, PixelSums, fractions, image_scores
from runtime.scoring.bootstrap import Bootstrap, Doubles, Interval, stack_terms
from runtime.scoring.evaluation import Evaluation
from runtime.scoring.lesions import lesion_terms
from runtime.scoring.patients import patient_values
from runtime.scoring.surface import surface_values

Summary = Literal[
    "per image",
    "pooled",
    "standard deviation",
    "per image at 0.5",
    "pooled at 0.5",
    "per patient",
    "per patient at 0.5",
]
"""How a metric is summarized over images, or over patients."""


@dataclass(frozen=True, slots=True)
class MetricDifference:
    """The difference of one metric between two networks: the candidate's minus the reference's.

    Attributes:
        metric: "accuracy", "recall", "precision", "iou" or "dice"; where both evaluations have
            them, "hd95", "nsd", "lesion_recall" and "false_lesions" too.
        kind: how the metric is summarized over images; "standard deviation" is that of the soft
            metric over images.
        reference, candidate: the summary of each network, over the same images.
        difference: candidate minus reference, with its interval. All are NaN, and the reason is
            given, if too few images are behind it.
        images: number of images behind it: those where the metric is defined for both networks.
            Per patient, it is the number of patients.
        groups: number of groups of these images.
    """

    metric: str
    kind: Summary
    reference: float
    candidate: float
    difference: Interval
    images: int
    groups: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two networks on the same images.

    Attributes:
        reference, candidate: the names of the networks.
        images: number of images.
        groups: number of groups that the bootstrap draws; equal to `images` if none are known.
        level: confidence level of the intervals.
        differences: of every metric and summary, candidate minus reference.
    """

    reference: str
    candidate: str
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


def compare(
    reference: Evaluation, candidate: Evaluation, bootstrap: Bootstrap | None = None
) -> Comparison:
    """Compare two evaluations of the same images, in every metric.

    Args:
        reference: its scores are subtracted.
        candidate: from its scores.
        bootstrap: of these images; by default, each image is its own group.

    Raises:
        ConfigError: the evaluations are of different images, or their surfaces or lesions were
            scored with different settings.

    Example:
        >>> from pathlib import Path
        >>> from runtime.data.samples import Sample
        >>> from runtime.scoring.evaluation import score
        >>> mask = np.eye(4, dtype=np.uint8)
        >>> samples = [Sample(Path(f"{n}.png"), f"{n}.png", 4, 4, ()) for n in range(10)]
        >>> half = score("half", (4, 4), samples, [(mask * np.float32(0.5), mask)] * 10)
        >>> exact = score("exact", (4, 4), samples, [(mask.astype(np.float32), mask)] * 10)
        >>> recall = compare(half, exact).find("recall")
        >>> recall.reference, recall.candidate, recall.images, recall.difference.excludes_zero
        (0.5, 1.0, 10, True)
    """
    if [s.file for s in reference.samples] != [s.file for s in candidate.samples]:
        raise ConfigError(
            f"{reference.name} and {candidate.name} were not evaluated on the same images"
        )
    if _clinical_settings(reference, candidate) != _clinical_settings(candidate, reference):
        raise ConfigError(
            f"{reference.name} and {candidate.name} were not scored with the same unit, tolerance "
            "and smallest lesion"
        )
    draws = bootstrap or Bootstrap(len(reference.samples))
    differences: list[MetricDifference] = []
    soft = _soft(reference), _soft(candidate)
    hard = _thresholded(reference), _thresholded(candidate)
    for metric in METRICS:
        differences += [
            _of_means(draws, metric, "per image", *(_values(one, metric) for one in soft)),
            _of_pooled(draws, metric, "pooled", *soft),
            _of_deviations(draws, metric, *soft),
            _of_means(draws, metric, "per image at 0.5", *(_values(one, metric) for one in hard)),
            _of_pooled(draws, metric, "pooled at 0.5", *hard),
        ]
    differences += _of_surfaces(draws, reference, candidate)
    differences += _of_lesions(draws, reference, candidate)
    differences += _of_patients(reference, candidate)
    return Comparison(
        reference=reference.name,
        candidate=candidate.name,
        images=len(reference.samples),
        groups=draws.groups,
        level=draws.level,
        differences=tuple(differences),
    )


def soft_values(evaluation: Evaluation, metric: str) -> Doubles:
    """Return a soft metric of each image, float64 [images].

    NaN where undefined: without foreground, for every metric but the accuracy.
    """
    return _values(_soft(evaluation), metric)


def _soft(evaluation: Evaluation) -> list[PixelSums]:
    return [sample.soft for sample in evaluation.samples]


def _thresholded(evaluation: Evaluation) -> list[PixelSums]:
    return [sample.thresholded for sample in evaluation.samples]


def _values(images: list[PixelSums], metric: str) -> Doubles:
    return np.array([getattr(image_scores(sums), metric) for sums in images])


def _clinical_settings(evaluation: Evaluation, other: Evaluation) -> tuple[object, ...]:
    """Return the settings behind the surface scores and lesions that both evaluations have."""
    settings: tuple[object, ...] = ()
    if evaluation.surface is not None and other.surface is not None:
        settings += evaluation.surface.unit, evaluation.surface.tolerance
    if evaluation.lesions is not None and other.lesions is not None:
        settings += evaluation.lesions.unit, evaluation.lesions.smallest
    return settings


def _of_surfaces(
    draws: Bootstrap, reference: Evaluation, candidate: Evaluation
) -> list[MetricDifference]:
    """Return the differences of the surface scores, where both evaluations have them."""
    if reference.surface is None or candidate.surface is None:
        return []
    rows = [
        [sample.surface for sample in one.samples if sample.surface is not None]
        for one in (reference, candidate)
    ]
    return [
        _of_means(draws, name, "per image at 0.5", *(surface_values(row, name) for row in rows))
        for name in ("hd95", "nsd")
    ]


def _of_lesions(
    draws: Bootstrap, reference: Evaluation, candidate: Evaluation
) -> list[MetricDifference]:
    """Return the differences of the lesions, where both evaluations have them."""
    if reference.lesions is None or candidate.lesions is None:
        return []
    one, other = (
        lesion_terms([sample.lesions for sample in each.samples if sample.lesions is not None])
        for each in (reference, candidate)
    )
    terms = np.concatenate([one[:, :2], other[:, :2]], axis=1)
    return [
        _of_ratios(draws, "lesion_recall", "pooled at 0.5", terms),
        _of_means(draws, "false_lesions", "per image at 0.5", one[:, 2], other[:, 2]),
    ]


def _of_patients(reference: Evaluation, candidate: Evaluation) -> list[MetricDifference]:
    """Return the differences per patient, of the scores that both evaluations have."""
    if reference.patients is None or candidate.patients is None:
        return []
    both = reference.patients.patients, candidate.patients.patients
    draws = Bootstrap(len(both[0]))
    first, second = (patient_values(patients) for patients in both)
    kinds: tuple[Summary, Summary] = ("per patient", "per patient at 0.5")
    return [
        _of_means(draws, name, kind, values, others[name])
        for kind, ours, others in zip(kinds, first, second, strict=True)
        for name, values in ours.items()
        if name in others
    ]


def _of_means(
    draws: Bootstrap, metric: str, kind: Summary, reference: Doubles, candidate: Doubles
) -> MetricDifference:
    terms = stack_terms(reference, candidate)
    interval = draws.interval(terms, lambda s: (s[..., 1] - s[..., 0]) / s[..., 2])
    counted = terms[:, 2].sum()
    means = terms[:, :2].sum(axis=0) / counted if counted else np.full(2, np.nan)
    return _difference(draws, metric, kind, means, interval, terms)


def _of_pooled(
    draws: Bootstrap,
    metric: str,
    kind: Summary,
    reference: list[PixelSums],
    candidate: list[PixelSums],
) -> MetricDifference:
    pairs = zip(reference, candidate, strict=True)
    # With a count of images, since an image without any term belongs to the pool as well.
    terms = np.array([(*fractions(a)[metric], *fractions(b)[metric], 1.0) for a, b in pairs])
    return _of_ratios(draws, metric, kind, terms)


def _of_ratios(draws: Bootstrap, metric: str, kind: Summary, terms: Doubles) -> MetricDifference:
    """Return the difference of two ratios of sums, whose four terms are in columns."""
    interval = draws.interval(terms, lambda s: s[..., 2] / s[..., 3] - s[..., 0] / s[..., 1])
    sums = terms.sum(axis=0)
    with np.errstate(invalid="ignore"):
        pooled = sums[[0, 2]] / sums[[1, 3]]
    return _difference(draws, metric, kind, pooled, interval, terms)


def _of_deviations(
    draws: Bootstrap, metric: str, reference: list[PixelSums], candidate: list[PixelSums]
) -> MetricDifference:
    first, second = _values(reference, metric), _values(candidate, metric)
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
        values = np.array([deviation(sums, 0), deviation(sums, 2)])
    return _difference(draws, metric, "standard deviation", values, interval, terms)


def _difference(
    draws: Bootstrap,
    metric: str,
    kind: Summary,
    values: Doubles,
    interval: Interval,
    terms: Doubles,
) -> MetricDifference:
    reference, candidate = (float(value) for value in values)
    images, groups = draws.units(terms)
    return MetricDifference(
        metric, kind, reference, candidate, interval.hide_value_if_withheld(), images, groups
    )
