"""Scores of a network on a split."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.core.progress import Progress, ProgressCallback
from runtime.core.settings import LengthUnit, MaskChoice
from runtime.data.coco import Split
from runtime.data.orientation import Size
from runtime.data.resizing import check_size, resize_map
from runtime.data.samples import Sample
from runtime.data.targets import choose_targets
from runtime.metrics import (
    METRICS,
    Calibration,
    CalibrationSums,
    PixelSums,
    Scores,
    Spread,
    image_scores,
    pixel_sums,
    pooled,
    spread,
    thresholded_sums,
)
from runtime.model.predictor import Predictor
from runtime.scoring.bootstrap import Bootstrap, ratio
from runtime.scoring.clinical import clinical_scores, unit_of
from runtime.scoring.clinical_config import ClinicalConfig
from runtime.scoring.lesions import SIZES, LesionSummary, lesion_terms, total_lesions
from runtime.scoring.patients import PatientScores, groups_of, score_patients
from runtime.scoring.provenance import trained_masks
from runtime.scoring.sample_sums import SampleSums
from runtime.scoring.surface import SurfaceSummary, surface_values

Mask = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Averages:
    """The metrics of a split, averaged in two ways.

    Attributes:
        per_image: the distribution of each metric over the images, by name (macro average):
            accuracy over all images, the others over the images with foreground.
        pooled: the metrics of all pixels of all images together (micro average).
    """

    per_image: dict[str, Spread]
    pooled: Scores


@dataclass(frozen=True, slots=True)
class FalsePositives:
    """Predictions on images without foreground, where every one is wrong.

    Attributes:
        images: number of images without foreground; the rest is NaN if there are none.
        rate: share of these images with a pixel of p >= 0.5.
        area: share of their pixels with p >= 0.5, mean over images.
        soft_area: mean probability of their pixels, mean over images.
    """

    images: int
    rate: float
    area: float
    soft_area: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The scores of a network, or a baseline, on a split.

    Attributes:
        name: the network's file or the baseline's name.
        size: (height, width) at which masks and probabilities were compared.
        samples: the sums of each image, in the split's order.
        soft: metrics of the probabilities.
        thresholded: metrics of the predicted masks, p >= 0.5.
        calibration: of all pixels of all images.
        false_positives: on the images without foreground.
        patients: the scores per patient; None unless every image states its patient.
        surface, lesions: of the predicted masks; None where they were not asked for.
    """

    name: str
    size: Size
    samples: tuple[SampleSums, ...]
    soft: Averages
    thresholded: Averages
    calibration: Calibration
    false_positives: FalsePositives
    patients: PatientScores | None = None
    surface: SurfaceSummary | None = None
    lesions: LesionSummary | None = None


def evaluate(
    predictor: Predictor,
    split: Split,
    *,
    masks: MaskChoice = "auto",
    size: Size | None = None,
    clinical: ClinicalConfig | None = None,
    on_progress: ProgressCallback | None = None,
) -> Evaluation:
    """Score a network on a split.

    Images are decoded, masks drawn and batches computed ahead in threads, as many as the
    predictor's `concurrency` allows. The result does not depend on their timing. Only the sums of
    each image stay in memory.

    Args:
        predictor: the network.
        split: the images and their annotations.
        masks: draw the target masks from "boxes" or "segmentation"; "auto" is what the network
            was trained on, or else what the split's annotations allow (`choose_targets`).
        size: (height, width) at which masks and probabilities are compared; by default that of the
            network's input. A probability map of another size is resized
            (`runtime.data.resizing.resize_map`). Give one size to compare networks of several input
            sizes on the same pixels.
        clinical: the scores to add, which need SciPy; by default none.
        on_progress: called after each image.

    Raises:
        ConfigError: `size` is out of range.
        ImageError, AnnotationError: a sample cannot be read.
        ModelError: the network's output is not a probability map.
    """
    compared_at = predictor.size if size is None else size
    check_size(compared_at)
    trained_on = trained_masks(predictor.file.metadata)
    kind = choose_targets(masks, [split], trained_on=trained_on).masks

    def load(sample: Sample) -> tuple[NDArray[np.uint8], Mask]:
        scan = predictor.load(sample.path, stated_size=(sample.height, sample.width))
        return sample.fitting(scan).pixels, sample.mask(compared_at, kind)

    outcomes = (
        (resize_map(probability, compared_at), mask)
        for probability, mask in predictor.run_ahead(split.samples, load)
    )
    name = str(predictor.file.path)
    return score(name, compared_at, split.samples, outcomes, clinical, on_progress)


def score(
    name: str,
    size: Size,
    samples: Sequence[Sample],
    outcomes: Iterable[tuple[NDArray[np.float32], Mask]],
    clinical: ClinicalConfig | None = None,
    on_progress: ProgressCallback | None = None,
) -> Evaluation:
    """Score probability maps against masks.

    Args:
        name: of the network or baseline.
        size: (height, width) of the maps and masks.
        samples: the images, in order.
        outcomes: for each sample, a probability map float32 [height, width] in [0, 1] and a mask
            uint8 [height, width] of 0 and 1.
        clinical: the scores to add; by default none.
        on_progress: called after each image.

    Example:
        >>> from pathlib import Path
        >>> mask = np.array([[1, 1], [0, 0]], np.uint8)
        >>> sample = Sample(Path("a.png"), "a.png", width=2, height=2, annotations=())
        >>> outcomes = [(np.full((2, 2), np.float32(0.5)), mask)]
        >>> evaluation = score("all 0.5", (2, 2), [sample], outcomes)
        >>> evaluation.soft.pooled.recall, evaluation.thresholded.pooled.recall
        (0.5, 1.0)
    """
    config, unit = clinical or ClinicalConfig(), unit_of(samples)
    calibration = CalibrationSums()
    images: list[SampleSums] = []
    for sample, (probability, mask) in zip(samples, outcomes, strict=True):
        calibration.add(probability, mask)
        sums = pixel_sums(probability, mask), thresholded_sums(probability, mask)
        added = clinical_scores(sample, probability, mask, config, unit)
        images.append(SampleSums(sample.file_name, *sums, sample.patient, *added))
        if on_progress is not None:
            on_progress(Progress(len(images), len(samples), phase=Path(name).stem))
    groups = groups_of(samples)
    return Evaluation(
        name=name,
        size=size,
        samples=tuple(images),
        soft=_averages([sums.soft for sums in images]),
        thresholded=_averages([sums.thresholded for sums in images]),
        calibration=calibration.result(),
        false_positives=_false_positives(images),
        patients=score_patients(images),
        surface=_surface(images, config, unit, groups),
        lesions=_lesions(images, config, unit, groups),
    )


def _surface(
    images: Sequence[SampleSums],
    config: ClinicalConfig,
    unit: LengthUnit,
    groups: Sequence[int],
) -> SurfaceSummary | None:
    rows = [image.surface for image in images if image.surface is not None]
    if not rows:
        return None
    bootstrap = Bootstrap(len(rows), groups or None)
    return SurfaceSummary(
        unit=unit,
        tolerance=config.tolerance,
        hd95=bootstrap.estimate(surface_values(rows, "hd95")),
        nsd=bootstrap.estimate(surface_values(rows, "nsd")),
        missed=sum(image.missed for image in images),
    )


def _lesions(
    images: Sequence[SampleSums],
    config: ClinicalConfig,
    unit: LengthUnit,
    groups: Sequence[int],
) -> LesionSummary | None:
    rows = [image.lesions for image in images if image.lesions is not None]
    if not rows:
        return None
    bootstrap = Bootstrap(len(rows), groups or None)
    found, lesions, false = lesion_terms(rows).T
    return LesionSummary(
        unit=unit,
        smallest=config.smallest_lesion,
        sizes=SIZES,
        counts=total_lesions(rows),
        recall=bootstrap.interval(np.stack([found, lesions], axis=1), ratio),
        false_per_image=bootstrap.mean(false),
    )


def _averages(images: list[PixelSums]) -> Averages:
    each = [image_scores(sums) for sums in images]
    spreads = {name: spread([getattr(image, name) for image in each]) for name in METRICS}
    return Averages(spreads, pooled(images))


def _false_positives(images: Sequence[SampleSums]) -> FalsePositives:
    empty = [image for image in images if image.soft.target == 0.0]
    decided = [image.thresholded.predicted / image.thresholded.pixels for image in empty]
    return FalsePositives(
        images=len(empty),
        rate=spread([float(area > 0.0) for area in decided]).mean,
        area=spread(decided).mean,
        soft_area=spread([image.soft.predicted / image.soft.pixels for image in empty]).mean,
    )
