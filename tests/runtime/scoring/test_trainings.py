"""Intervals over trainings: against the theory where it is exact, and by simulated coverage."""

import math

import numpy as np
import pytest
from scipy.stats import t as student, ttest_1samp

from runtime.scoring.bootstrap import Bootstrap, ratio, stack_terms
from runtime.scoring.trainings import Doubles, drawn_errors, training_error, why_undecided

IMAGES, GROUPS, TRUTH = 80, 40, 0.03


def scores(
    rng: np.random.Generator, trainings: int, of_training: float, of_images: float
) -> Doubles:
    """Scores [trainings, images] with the mean `TRUTH` over all trainings and images.

    The mean's standard error by the choice of images is `of_images`, that of one training
    `of_training`. A training that is good on one image need not be on another.
    """
    owner = np.arange(IMAGES) % GROUPS
    shared = rng.normal(0.0, of_images * math.sqrt(GROUPS), GROUPS)[owner]
    training = rng.normal(0.0, of_training, (trainings, 1))
    noise = rng.normal(0.0, 0.02, (trainings, IMAGES))
    return np.asarray(TRUTH + training + shared + noise)


@pytest.mark.parametrize("trainings", [3, 5])
@pytest.mark.parametrize(("of_training", "of_images"), [(0.03, 0.003), (0.02, 0.01), (0.002, 0.01)])
def test_the_interval_holds_the_mean_of_all_trainings_and_images(
    trainings: int, of_training: float, of_images: float
) -> None:
    rng = np.random.default_rng(4)
    owner = (np.arange(IMAGES) % GROUPS).tolist()
    trials, hits = 500, 0
    bootstraps = [Bootstrap(IMAGES, owner, resamples=400, seed=seed) for seed in range(20)]
    for trial in range(trials):
        found = bootstraps[trial % 20].mean(scores(rng, trainings, of_training, of_images))
        hits += found.low <= TRUTH <= found.high
    # Above 95 of 100 where both parts count, as the theory has it (Robinson 1976).
    assert 0.93 <= hits / trials <= 0.99


def test_intervals_over_images_or_of_drawn_trainings_hold_too_little() -> None:
    rng = np.random.default_rng(5)
    owner = (np.arange(IMAGES) % GROUPS).tolist()
    trials, images_only, redrawn = 300, 0, 0
    bootstrap = Bootstrap(IMAGES, owner, resamples=400)
    for _ in range(trials):
        values = scores(rng, 3, 0.03, 0.003)
        found = bootstrap.mean(values.mean(axis=0))
        images_only += found.low <= TRUTH <= found.high
        means = rng.choice(values.mean(axis=1), (400, 3)).mean(axis=1)
        redrawn += np.quantile(means, 0.025) <= TRUTH <= np.quantile(means, 0.975)
    assert images_only / trials < 0.5
    assert redrawn / trials < 0.85


def test_without_a_choice_of_images_the_interval_is_students() -> None:
    means = np.array([0.41, 0.44, 0.38, 0.42])
    found = Bootstrap(400, resamples=40_000).mean(np.repeat(means[:, None], 400, axis=1))
    low, high = ttest_1samp(means, 0.0).confidence_interval(0.95)
    assert found.value == pytest.approx(means.mean())
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.04 * (high - low))


def test_fewer_than_three_trainings_leave_the_interval_over_images() -> None:
    values = np.random.default_rng(0).normal(size=(2, 60))
    for part in (values, values[:1]):
        found, expected = Bootstrap(60).mean(part), Bootstrap(60).mean(part.mean(axis=0))
        assert (found.value, found.low, found.high) == pytest.approx(
            (expected.value, expected.low, expected.high)
        )
    assert math.isnan(training_error(values[:, 0]))
    assert not drawn_errors(values[:, 0], 5, 0).any()


def test_equal_trainings_add_nothing() -> None:
    values = np.random.default_rng(0).normal(size=60)
    found, expected = Bootstrap(60).mean(np.stack([values] * 4)), Bootstrap(60).mean(values)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_errors_are_drawn_from_students_distribution() -> None:
    drawn = drawn_errors(np.array([0.1, 0.2, 0.3]), 100_000, seed=1)
    error = 0.1 / math.sqrt(3)
    for share in (0.05, 0.5, 0.9):
        expected = student.ppf(share, 2) * error
        assert np.quantile(drawn, share) == pytest.approx(expected, abs=0.05 * error)


def test_the_variance_splits_into_images_and_training() -> None:
    rng = np.random.default_rng(7)
    found = [
        Bootstrap(IMAGES, resamples=400).variance_parts(
            stack_terms(scores(rng, 5, 0.03, 0.0)), ratio
        )
        for _ in range(100)
    ]
    between = math.sqrt(np.mean([parts.between**2 for parts in found]))
    assert between == pytest.approx(0.03, rel=0.15)
    assert all(p.training == pytest.approx(p.between / math.sqrt(5)) for p in found)
    # What is left is the noise of an image in a training.
    expected = 0.02 / math.sqrt(5 * IMAGES)
    assert np.mean([parts.images for parts in found]) == pytest.approx(expected, rel=0.1)
    assert np.mean([parts.training_share for parts in found]) > 0.95


def test_the_parts_are_those_of_an_analysis_of_variance() -> None:
    """Trainings and images as two crossed random factors (Scheffe 1959, chapter 7.4)."""
    trainings, images = 4, 60
    rng = np.random.default_rng(3)
    effects = rng.normal(0.0, 0.05, (trainings, 1)) + rng.normal(0.0, 0.1, images)
    values = effects + rng.normal(0.0, 0.03, (trainings, images))

    of_training, of_image = (index.ravel() for index in np.indices(values.shape))
    ones = np.ones((values.size, 1))
    training, image = np.eye(trainings)[of_training], np.eye(images)[of_image]

    def residual(*columns: Doubles) -> float:
        design = np.hstack([ones, *columns])
        fit = design @ np.linalg.lstsq(design, values.ravel(), rcond=None)[0]
        return float(((values.ravel() - fit) ** 2).sum())

    mean_square_training = (residual(image) - residual(training, image)) / (trainings - 1)
    mean_square_image = (residual(training) - residual(training, image)) / (images - 1)
    parts = Bootstrap(images, resamples=40_000).variance_parts(stack_terms(values), ratio)
    assert parts.training**2 == pytest.approx(mean_square_training / values.size)
    # The bootstrap draws, so it agrees up to its own error: the variance of a variance.
    assert parts.images**2 == pytest.approx(mean_square_image / values.size, rel=0.03)
    share = mean_square_training / (mean_square_training + mean_square_image)
    assert parts.training_share == pytest.approx(share, rel=0.02)


def test_one_training_has_no_share_of_the_variance() -> None:
    values = np.random.default_rng(0).normal(size=30)
    parts = Bootstrap(30).variance_parts(stack_terms(values), ratio)
    assert parts.images == pytest.approx(values.std(ddof=1) / math.sqrt(30), rel=0.05)
    assert parts.trainings == 1
    assert all(math.isnan(x) for x in (parts.between, parts.training, parts.training_share))


def test_an_image_that_one_training_leaves_undefined_counts_in_the_others() -> None:
    values = np.full((3, 12), 0.5)
    values[0, :2] = math.nan
    values[1, 0] = 0.0
    bootstrap = Bootstrap(12, resamples=50)
    found = bootstrap.mean(values)
    assert found.value == pytest.approx((0.5 + 0.5 * 11 / 12 + 0.5) / 3)
    assert bootstrap.units(stack_terms(values)) == (10, 10)
    values[0, :3] = math.nan
    assert bootstrap.mean(values).withheld == "9 images are too few for an interval, which needs 10"


def test_fewer_than_three_trainings_decide_nothing() -> None:
    reasons = [why_undecided(number) for number in (1, 2, 3, 9)]
    assert reasons == ["one training", "two trainings", "", ""]
