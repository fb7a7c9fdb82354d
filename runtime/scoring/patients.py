"""Scores of patients: of each patient's images together, as one volume.

A patient's IoU and Dice are of sums over all pixels of the patient's images, at the scored size.
The surface scores are means over the patient's images with foreground. Lesions are added.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runtime.core.errors import DataError
from runtime.data.samples import Sample
from runtime.data.split import Split
from runtime.metrics import PixelSums, image_scores
from runtime.scoring.bootstrap import Bootstrap
from runtime.scoring.intervals import Estimate
from runtime.scoring.lesions import LesionCounts, total_lesions
from runtime.scoring.sample_sums import SampleSums
from runtime.scoring.surface import SurfaceScores, mean_surface
from runtime.scoring.trainings import Doubles

VOLUME_METRICS = ("iou", "dice")


@dataclass(frozen=True, slots=True)
class PatientSums:
    """The sums of one patient's images.

    Attributes:
        patient: as the COCO file or the names of its images state it.
        images: their number.
        soft, thresholded: sums over the pixels of all of them.
        surface: means over those with foreground; None where it was not asked for.
        lesions: of all of them; None where they were not asked for.
    """

    patient: str
    images: int
    soft: PixelSums
    thresholded: PixelSums
    surface: SurfaceScores | None = None
    lesions: LesionCounts | None = None


@dataclass(frozen=True, slots=True)
class PatientScores:
    """The scores of a split per patient.

    Attributes:
        patients: in the order of their first images.
        soft: the distribution of "iou" and "dice" of the probabilities over the patients.
        thresholded: the same of the predicted masks, with "hd95", "nsd", "lesion_recall" and
            "false_lesions" where they were asked for. All but the last are over the patients with
            foreground.
    """

    patients: tuple[PatientSums, ...]
    soft: dict[str, Estimate]
    thresholded: dict[str, Estimate]


def score_patients(images: Sequence[SampleSums]) -> PatientScores | None:
    """Return the scores per patient; None unless every image states its patient."""
    patients = patient_sums(images)
    if not patients:
        return None
    bootstrap = Bootstrap(len(patients), unit="patient")
    soft, thresholded = patient_values(patients)
    return PatientScores(
        patients,
        {name: bootstrap.estimate(values) for name, values in soft.items()},
        {name: bootstrap.estimate(values) for name, values in thresholded.items()},
    )


def patient_sums(images: Sequence[SampleSums]) -> tuple[PatientSums, ...]:
    """Return the sums of each patient; none unless every image states its patient.

    Example:
        >>> sums = PixelSums(4, 2.0, 2.0, 2.0)
        >>> slices = [SampleSums(f"{n}.png", sums, sums, patient="A3") for n in range(3)]
        >>> [(found.patient, found.images, found.soft.pixels) for found in patient_sums(slices)]
        [('A3', 3, 12)]
        >>> patient_sums([*slices, SampleSums("other.png", sums, sums)])
        ()
    """
    by_patient: dict[str, list[int]] = {}
    for index, image in enumerate(images):
        if image.patient is None:
            return ()
        by_patient.setdefault(image.patient, []).append(index)
    # The images of one patient at a time: a table makes them when they are asked for.
    return tuple(_patient(name, [images[i] for i in found]) for name, found in by_patient.items())


def _patient(name: str, images: Sequence[SampleSums]) -> PatientSums:
    none = PixelSums(0, 0.0, 0.0, 0.0)
    surfaces = [image.surface for image in images if image.surface is not None]
    lesions = [image.lesions for image in images if image.lesions is not None]
    return PatientSums(
        patient=name,
        images=len(images),
        soft=sum((image.soft for image in images), start=none),
        thresholded=sum((image.thresholded for image in images), start=none),
        surface=mean_surface(surfaces) if surfaces else None,
        lesions=total_lesions(lesions) if lesions else None,
    )


def patient_values(
    patients: Sequence[PatientSums],
) -> tuple[dict[str, Doubles], dict[str, Doubles]]:
    """Return the soft and the thresholded scores by name, each float64 [patients].

    NaN is undefined: without foreground, all but the number of false lesions.
    """
    soft = [image_scores(patient.soft) for patient in patients]
    hard = [image_scores(patient.thresholded) for patient in patients]
    soft_values, hard_values = (
        {name: np.array([getattr(s, name) for s in scores]) for name in VOLUME_METRICS}
        for scores in (soft, hard)
    )
    surfaces = [patient.surface for patient in patients if patient.surface is not None]
    if surfaces:
        hard_values["hd95"] = np.array([surface.hd95 for surface in surfaces])
        hard_values["nsd"] = np.array([surface.nsd for surface in surfaces])
    lesions = [patient.lesions for patient in patients if patient.lesions is not None]
    if lesions:
        hard_values["lesion_recall"] = np.array([found.recall for found in lesions])
        hard_values["false_lesions"] = np.array([float(sum(found.false)) for found in lesions])
    return soft_values, hard_values


def require_patients(split: Split) -> None:
    """Raise DataError unless every image of a split states its patient."""
    unknown = [sample.file_name for sample in split.samples if sample.patient is None]
    if unknown:
        raise DataError(
            f"{split.annotation_file}: no scores per patient, because {len(unknown)} of "
            f"{len(split.samples)} images state no patient; the first: {unknown[0]}"
        )


def groups_of(samples: Sequence[Sample]) -> tuple[int, ...]:
    """Return the group of each image: its stated group, else its patient's number.

    Returns:
        An empty tuple unless every image states its group, or every image its patient.
    """
    return number_groups([s.group for s in samples], [s.patient for s in samples])


def number_groups(groups: Sequence[int | None], patients: Sequence[str | None]) -> tuple[int, ...]:
    """Return the group of each image from the groups and patients that are stated (`groups_of`).

    Example:
        >>> number_groups([None, 7], ["B", "A"]), number_groups([3, 7], ["B", "A"])
        ((0, 1), (3, 7))
    """
    known = tuple(group for group in groups if group is not None)
    if len(known) == len(groups):
        return known
    if any(patient is None for patient in patients):
        return ()
    numbers = {patient: number for number, patient in enumerate(dict.fromkeys(patients))}
    return tuple(numbers[patient] for patient in patients)
