"""How much of a score's uncertainty comes from the choice of images, and how much from training."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from runtime.report.cells import Cell, Table, decimals, percent
from runtime.scoring.bootstrap import Bootstrap, ratio, stack_terms
from runtime.scoring.comparison import soft_values, thresholded_values
from runtime.scoring.evaluation import Evaluation
from runtime.scoring.trainings import Doubles, VarianceParts

METRIC = "iou"
READINGS: Mapping[str, Callable[[Evaluation, str], Doubles]] = {
    "soft": soft_values,
    "at 0.5": thresholded_values,
}


@dataclass(frozen=True, slots=True)
class Variance:
    """The IoU of a network, or the difference of two, with the parts of its uncertainty.

    Attributes:
        name: of the network, or "other \N{MINUS SIGN} one".
        reading: "soft" or "at 0.5".
        by_training: mean over images, for each training.
    """

    name: str
    reading: str
    by_training: tuple[float, ...]
    parts: VarianceParts


def split_variance(
    networks: Mapping[str, Sequence[Evaluation]], bootstrap: Bootstrap
) -> tuple[Variance, ...]:
    """Return the parts for each network, and for the difference of each pair of networks.

    Args:
        networks: the evaluations of each training, by the network's name.
        bootstrap: of the images.
    """
    return tuple(
        Variance(
            name,
            reading,
            _means(values),
            bootstrap.variance_parts(stack_terms(values), ratio),
        )
        for reading, of in READINGS.items()
        for name, values in _named(networks, of)
    )


def variance_table(variance: Sequence[Variance]) -> Table:
    """Return how much of each uncertainty comes from images, and how much from training."""
    header = (
        *("network", "IoU", "mean of each training", "standard deviation between trainings"),
        *("standard error, images", "standard error, training", "training, share of the variance"),
    )
    rows: list[list[object]] = []
    for row in variance:
        parts = row.parts
        values = Cell(", ".join(f"{value:.3f}" for value in row.by_training), numeric=False)
        numbers = [decimals(v, 4) for v in (parts.between, parts.images, parts.training)]
        reading = row.reading.replace(" ", "\N{NO-BREAK SPACE}")
        rows.append([row.name, reading, values, *numbers, percent(parts.training_share, 0)])
    return header, rows


def _means(values: Doubles) -> tuple[float, ...]:
    """Return the mean over images of each training; NaN where no image has foreground."""
    sums = stack_terms(values).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return tuple(float(mean) for mean in ratio(sums))


def _named(
    networks: Mapping[str, Sequence[Evaluation]], of: Callable[[Evaluation, str], Doubles]
) -> Iterator[tuple[str, Doubles]]:
    """Yield each network and difference with its values, float64 [trainings, images]."""
    values = {name: np.array([of(e, METRIC) for e in each]) for name, each in networks.items()}
    yield from values.items()
    for one, other in combinations(values, 2):
        yield f"{other} \N{MINUS SIGN} {one}", values[other] - values[one]
