"""Scores of patients against scikit-learn's of all pixels of a patient."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import f1_score, jaccard_score

from runtime.core.errors import DataError
from runtime.data.samples import Sample
from runtime.data.split import Split
from runtime.metrics import PixelSums, pixel_sums
from runtime.scoring.lesions import LesionCounts
from runtime.scoring.patients import (
    groups_of,
    number_groups,
    patient_sums,
    patient_values,
    require_patients,
    score_patients,
)
from runtime.scoring.sample_sums import SampleSums

Mask = NDArray[np.uint8]
OWNERS = ("B", "A", "B", "C", "A", "B")


@pytest.fixture
def masks() -> list[tuple[Mask, Mask]]:
    """A predicted and a true mask of each image; patient C has no foreground."""
    rng = np.random.default_rng(0)
    drawn = [rng.integers(0, 2, (2, 5, 7)).astype(np.uint8) for _ in OWNERS]
    return [(p, y * np.uint8(owner != "C")) for (p, y), owner in zip(drawn, OWNERS, strict=True)]


def image(number: int, prediction: Mask, target: Mask) -> SampleSums:
    sums = pixel_sums(prediction.astype(np.float32), target)
    return SampleSums(f"{number}.png", sums, sums, patient=OWNERS[number])


def test_a_patients_iou_and_dice_are_scikit_learns_of_all_its_pixels(
    masks: list[tuple[Mask, Mask]],
) -> None:
    patients = patient_sums([image(i, *pair) for i, pair in enumerate(masks)])
    assert [(patient.patient, patient.images) for patient in patients] == [
        ("B", 3), ("A", 2), ("C", 1),
    ]  # fmt: skip
    values, hard = patient_values(patients)
    for place, owner in enumerate("BA"):
        own = [pair for pair, name in zip(masks, OWNERS, strict=True) if name == owner]
        predicted, true = (np.concatenate([np.ravel(p[k]) for p in own]) for k in (0, 1))
        for found in (values, hard):
            assert found["iou"][place] == pytest.approx(jaccard_score(true, predicted))
            assert found["dice"][place] == pytest.approx(f1_score(true, predicted))
    assert np.isnan(values["iou"][2])  # no foreground


def test_the_score_of_a_split_is_the_mean_over_patients_that_have_foreground(
    masks: list[tuple[Mask, Mask]],
) -> None:
    images = [image(i, *pair) for i, pair in enumerate(masks)]
    found = score_patients(images)
    assert found is not None
    values, _ = patient_values(found.patients)
    assert found.soft["iou"].spread.mean == pytest.approx(np.nanmean(values["iou"]))


def test_lesions_of_a_patient_are_added() -> None:
    sums = PixelSums(4, 2.0, 2.0, 2.0)
    none = (0, 0, 0, 0)
    counts = [
        LesionCounts((3, 1, *none), (2, 0, *none), (0, 4, *none)),
        LesionCounts((1, 1, *none), (1, 2, *none), (5, 0, *none)),
    ]
    images = [
        SampleSums(f"{i}.png", sums, sums, patient="A", lesions=each)
        for i, each in enumerate(counts)
    ]
    _, values = patient_values(patient_sums(images))
    assert values["false_lesions"].tolist() == [9.0]
    assert values["lesion_recall"].tolist() == [6 / 11]  # found 6, missed 5


def test_groups_are_the_stated_ones_and_else_numbers_of_patients() -> None:
    assert number_groups([None, None, None], ["B", "A", "B"]) == (0, 1, 0)
    assert number_groups([4, None], ["B", None]) == ()
    samples = [Sample(Path("a"), "a", 1, 1, (), None, owner) for owner in "BAB"]
    assert groups_of(samples) == (0, 1, 0)


def test_a_split_with_an_image_of_an_unknown_patient_is_refused() -> None:
    samples = tuple(
        Sample(Path(name), name, 1, 1, (), None, owner)
        for name, owner in (("a.png", "A"), ("b.png", None), ("c.png", None))
    )
    split = Split("test", Path("test/coco.json"), samples, None, ())
    require_patients(Split("test", Path("test/coco.json"), samples[:1], None, ()))
    with pytest.raises(DataError, match=r"coco\.json: .* because 2 of 3 .*; the first: b\.png"):
        require_patients(split)
