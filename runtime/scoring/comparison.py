"""The difference between two networks on the same images, with confidence intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from runtime.core.errors import ConfigError
from runtime.metrics import METRICS, PixelColumns, fractions, image_values
from runtime.scoring.bootstrap import Bootstrap, stack_terms
from runtime.scoring.evaluation import Evaluation
from runtime.scoring.intervals import Interval
from runtime.scoring.lesions import lesion_terms
from runtime.scoring.patients import patient_values
from runtime.scoring.sample_table import as_table
from runtime.scoring.surface import ScoredUnit
from runtime.scoring.trainings import Doubles

Summary = Literal[
    "per image",
    "pooled",
    "standard deviation",
    "per image at 0.5",
    "per volume at 0.5",
    "pooled at 0.5",
    "per patient",
    "per patient at 0.5",
]
"""How a metric is summarized over images, over patients, or over volumes where there are some."""
_KINDS: dict[ScoredUnit, Summary] = {
    "image": "per image at 0.5",
    "volume": "per volume at 0.5",
    "image or volume": "per volume at 0.5",
}


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
        by_training: the difference of each pair of trainings.
    """

    metric: str
    kind: Summary
    reference: float
    candidate: float
    difference: Interval
    images: int
    groups: int
    by_training: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two networks on the same images.

    Attributes:
        reference, candidate: the names of the networks.
        images: number of images.
        groups: number of groups that the bootstrap draws; equal to `images` if none are known.
        level: confidence level of the intervals.
        trainings: number of trainings of each network.
        differences: of every metric and summary, candidate minus reference.
    """

    reference: str
    candidate: str
    images: int
    groups: int
    level: float
    differences: tuple[MetricDifference, ...]
    trainings: int = 1

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
    return compare_trainings([reference], [candidate], bootstrap)


def compare_trainings(
    references: Sequence[Evaluation],
    candidates: Sequence[Evaluation],
    bootstrap: Bootstrap | None = None,
) -> Comparison:
    """Compare the trainings of two networks on the same images, in every metric.

    The first training of one is paired with the first of the other, and so on: those of one seed.
    A difference is the mean over pairs.

    Args:
        references, candidates: an evaluation of each training, equally many. Of what is not
            trained, such as a baseline, repeat its evaluation. Surfaces, lesions and patients are
            compared of single trainings only.
        bootstrap: as in `compare`.

    Raises:
        ConfigError: the evaluations are of different images.
    """
    reference, candidate = references[0], candidates[0]
    tables = [[as_table(each.samples) for each in side] for side in (references, candidates)]
    files = tables[0][0].files
    if any(list(files) != list(table.files) for side in tables for table in side):
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
    soft = [[table.soft for table in side] for side in tables]
    hard = [[table.thresholded for table in side] for side in tables]
    for metric in METRICS:
        differences += [
            _of_means(draws, metric, "per image", *(_stacked(one, metric) for one in soft)),
            _of_pooled(draws, metric, "pooled", *soft),
            _of_deviations(draws, metric, *(_stacked(one, metric) for one in soft)),
            _of_means(draws, metric, "per image at 0.5", *(_stacked(one, metric) for one in hard)),
            _of_pooled(draws, metric, "pooled at 0.5", *hard),
        ]
    if len(candidates) == 1:
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
        trainings=len(candidates),
    )


def soft_values(evaluation: Evaluation, metric: str) -> Doubles:
    """Return a soft metric of each image, float64 [images].

    NaN where undefined: without foreground, for every metric but the accuracy.
    """
    return image_values(as_table(evaluation.samples).soft)[metric]


def thresholded_values(evaluation: Evaluation, metric: str) -> Doubles:
    """Return a metric at threshold 0.5 of each image, float64 [images]; NaN where undefined."""
    return image_values(as_table(evaluation.samples).thresholded)[metric]


def _stacked(trainings: Sequence[PixelColumns], metric: str) -> Doubles:
    """Return a metric of each training and image, float64 [trainings, images]."""
    return np.array([image_values(images)[metric] for images in trainings])


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
    one, other = (as_table(each.samples).surface for each in (reference, candidate))
    kind = _KINDS[reference.surface.of]
    return [
        _of_means(draws, name, kind, one[:, column], other[:, column])
        for column, name in enumerate(("hd95", "nsd"))
    ]


def _of_lesions(
    draws: Bootstrap, reference: Evaluation, candidate: Evaluation
) -> list[MetricDifference]:
    """Return the differences of the lesions, where both evaluations have them."""
    if reference.lesions is None or candidate.lesions is None:
        return []
    one, other = (lesion_terms(as_table(each.samples).lesions) for each in (reference, candidate))
    terms = np.nan_to_num(np.concatenate([one[:, :2], other[:, :2]], axis=1))
    kind = _KINDS[reference.lesions.of]
    return [
        _of_ratios(draws, "lesion_recall", "pooled at 0.5", terms),
        _of_means(draws, "false_lesions", kind, one[:, 2], other[:, 2]),
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
    """Return the difference of two means of values [..., images]."""
    terms = stack_terms(reference, candidate)
    return _difference(draws, metric, kind, terms, lambda s, column: s[..., column] / s[..., 2])


def _of_pooled(
    draws: Bootstrap,
    metric: str,
    kind: Summary,
    references: Sequence[PixelColumns],
    candidates: Sequence[PixelColumns],
) -> MetricDifference:
    def terms(one: PixelColumns, other: PixelColumns) -> Doubles:
        # With a count of images, since an image without any term belongs to the pool as well.
        columns = *fractions(one)[metric], *fractions(other)[metric], np.ones_like(one.pixels)
        return np.stack(columns, axis=-1)

    pairs = zip(references, candidates, strict=True)
    return _of_ratios(draws, metric, kind, np.array([terms(*pair) for pair in pairs]))


def _of_ratios(draws: Bootstrap, metric: str, kind: Summary, terms: Doubles) -> MetricDifference:
    """Return the difference of two ratios of sums, whose four terms are in columns."""
    return _difference(
        draws, metric, kind, terms, lambda s, column: s[..., 2 * column] / s[..., 2 * column + 1]
    )


def _of_deviations(
    draws: Bootstrap, metric: str, reference: Doubles, candidate: Doubles
) -> MetricDifference:
    def deviation(s: Doubles, column: int) -> Doubles:
        mean = s[..., column] / s[..., 4]
        # Clipped, since equal values may leave a variance of minus a rounding.
        variance = np.maximum(s[..., column + 2] / s[..., 4] - mean**2, 0.0)
        root: Doubles = np.sqrt(variance)
        return root

    terms = stack_terms(reference, candidate, reference**2, candidate**2)
    return _difference(draws, metric, "standard deviation", terms, deviation)


def _difference(
    draws: Bootstrap,
    metric: str,
    kind: Summary,
    terms: Doubles,
    summarize: Callable[[Doubles, int], Doubles],
) -> MetricDifference:
    """Return the difference of a summary of two networks.

    Args:
        terms: float64 [images, terms] or [trainings, images, terms].
        summarize: maps sums [..., terms] to the summary of the reference (column 0) or the
            candidate (column 1).
    """
    interval = draws.interval(terms, lambda s: summarize(s, 1) - summarize(s, 0))
    sums = terms.sum(axis=-2).reshape(-1, terms.shape[-1])
    with np.errstate(invalid="ignore", divide="ignore"):
        by_training = summarize(sums, 0), summarize(sums, 1)
    reference, candidate = (float(values.mean()) for values in by_training)
    images, groups = draws.units(terms)
    return MetricDifference(
        metric,
        kind,
        reference,
        candidate,
        interval.hide_value_if_withheld(),
        images,
        groups,
        by_training=tuple(float(value) for value in by_training[1] - by_training[0]),
    )
