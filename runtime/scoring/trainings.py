"""How much a score varies from one training of a network to the next.

Another seed gives another network. With a handful of trainings, drawing them with replacement would
show too little of this: 3 of them have only 10 different means. Their mean is therefore taken to
err as the mean of as many values of a normal distribution does, by Student's distribution (1908).
The sum of this error and that of drawing images has the Behrens-Fisher distribution, whose
intervals cover what they promise, or slightly more (Robinson 1976).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

MIN_TRAININGS = 3
"""Fewest trainings whose variation an interval covers. With fewer, it covers the images only."""


def why_undecided(trainings: int) -> str:
    """Return in words that so few trainings decide nothing; "" if they are enough.

    Example:
        >>> why_undecided(1), why_undecided(2), why_undecided(3)
        ('one training', 'two trainings', '')
    """
    if trainings >= MIN_TRAININGS:
        return ""
    return "one training" if trainings == 1 else "two trainings"


def training_error(scores: Doubles) -> float:
    """Return the standard error of the mean of the trainings' scores, float64 [trainings].

    Returns:
        At least 0; NaN for fewer than `MIN_TRAININGS` scores.

    Example:
        >>> round(training_error(np.array([0.4, 0.5, 0.6])), 4)
        0.0577
    """
    if len(scores) < MIN_TRAININGS:
        return float("nan")
    return float(scores.std(ddof=1) / np.sqrt(len(scores)))


def drawn_errors(scores: Doubles, resamples: int, seed: int) -> Doubles:
    """Draw errors of the mean of the trainings' scores, float64 [resamples].

    All are 0 for fewer than `MIN_TRAININGS` scores.

    Args:
        scores: float64 [trainings].
        seed: of the draws; the same seed gives the same draws, up to the scale of the scores.
    """
    if len(scores) < MIN_TRAININGS:
        return np.zeros(resamples)
    rng = np.random.default_rng((seed, len(scores)))
    return training_error(scores) * rng.standard_t(len(scores) - 1, resamples)


@dataclass(frozen=True, slots=True)
class VarianceParts:
    """The parts of the uncertainty of a mean score.

    Attributes:
        trainings: number of trainings behind the mean.
        between: standard deviation of the score between trainings; NaN for one.
        images: standard error by the choice of images.
        training: standard error by the choice of trainings; NaN for fewer than `MIN_TRAININGS`.

    Example:
        >>> VarianceParts(trainings=4, between=0.02, images=0.03, training=0.01).training_share
        0.1
    """

    trainings: int
    between: float
    images: float
    training: float

    @property
    def training_share(self) -> float:
        """The part of the variance that comes from training, in [0, 1]; NaN if it is unknown."""
        total = self.images**2 + self.training**2
        return self.training**2 / total if total > 0.0 else float("nan")
