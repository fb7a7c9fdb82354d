"""The parts of a score's uncertainty, against their formulas in NumPy."""

import math

import numpy as np
import pytest

from bench.study.variance import split_variance, variance_table
from runtime.scoring.bootstrap import Bootstrap
from runtime.scoring.evaluation import Evaluation
from tests.bench.study.test_ranking import COUNT, evaluation, noisy


@pytest.fixture
def networks() -> dict[str, list[Evaluation]]:
    """Three trainings of each of two networks, the second the better one."""
    return {
        name: [evaluation(name, noisy(10 * place + seed, level + 0.02 * seed)) for seed in range(3)]
        for place, (name, level) in enumerate({"a": 0.4, "b": 0.6}.items())
    }


def iou(evaluations: list[Evaluation]) -> np.ndarray:
    """The soft IoU of each training and image, [trainings, images]."""
    sums = [[image.soft for image in each.samples] for each in evaluations]
    return np.array(
        [[s.overlap / (s.target + s.predicted - s.overlap) for s in each] for each in sums]
    )


def test_between_and_images_and_training_are_those_of_the_values(
    networks: dict[str, list[Evaluation]],
) -> None:
    rows = {(row.name, row.reading): row for row in split_variance(networks, Bootstrap(COUNT))}
    assert list(rows) == [
        (name, reading) for reading in ("soft", "at 0.5")
        for name in ("a", "b", "b \N{MINUS SIGN} a")
    ]  # fmt: skip
    values = {"a": iou(networks["a"]), "b": iou(networks["b"])}
    values["b \N{MINUS SIGN} a"] = values["b"] - values["a"]
    for name, expected in values.items():
        row, means = rows[name, "soft"], expected.mean(axis=1)
        assert row.by_training == pytest.approx(means)
        assert row.parts.trainings == 3
        assert row.parts.between == pytest.approx(means.std(ddof=1))
        # The standard error of the mean over images, which the bootstrap estimates.
        error = expected.mean(axis=0).std(ddof=1) / math.sqrt(COUNT)
        assert row.parts.images == pytest.approx(error, rel=0.1)


def test_the_table_has_the_mean_of_each_training(networks: dict[str, list[Evaluation]]) -> None:
    _, rows = variance_table(split_variance(networks, Bootstrap(COUNT)))
    assert [str(row[0]) for row in rows[:3]] == ["a", "b", "b \N{MINUS SIGN} a"]
    for row, name in zip(rows, "ab", strict=False):
        means = iou(networks[name]).mean(axis=1)
        assert str(row[2]) == ", ".join(f"{mean:.3f}" for mean in means)
