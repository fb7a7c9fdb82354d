"""Scores of a network on a split."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.core.progress import Progress, ProgressCallback
from runtime.core.settings import LengthUnit, MaskChoice, MaskKind
from runtime.data.orientation import Size
from runtime.data.resizing import check_size, resize_map
from runtime.data.samples import Sample
from runtime.data.split import Split
from runtime.data.targets import choose_targets
from runtime.metrics import (
    PixelColumns,
    Scores,
    Spread,
    image_values,
    pixel_sums,
    scores,
    spread,
    thresholded_sums,
)
from runtime.model.predictor import Predictor
from runtime.scoring.calibration import Calibration, CalibrationSums
from runtime.scoring.clinical import ClinicalScorer, unit_of
from runtime.scoring.clinical_config import ClinicalConfig
from runtime.scoring.clinical_summary import lesion_summary, surface_summary
from runtime.scoring.lesions import LesionSummary
from runtime.scoring.patients import PatientScores, groups_of, score_patients
from runtime.scoring.provenance import trained_masks
from runtime.scoring.sample_sums import SampleSums
from runtime.scoring.sample_table import Columns, SampleTable
from runtime.scoring.surface import SurfaceSummary

Mask = NDArray[np.uint8]
Outcome = tuple[NDArray[np.float32], Mask]


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
class NetworkSums:
    """The sums of a network, or a baseline, over some images of a split.

    The scores follow from them (`conclude`), whether all images were summed at once or in parts.

    Attributes:
        name: the network's file or the baseline's name.
        size: (height, width) at which masks and probabilities were compared.
        samples: the sums of each image.
        calibration: the sums of all these images, as in `CalibrationSums`.
    """

    name: str
    size: Size
    samples: SampleTable
    calibration: tuple[int, ...]


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
    samples: Sequence[SampleSums]
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
    config, unit = clinical or ClinicalConfig(), unit_of(split.samples)
    sums = sum_network(
        predictor, split.samples, compared_at, kind, config, unit, on_progress=on_progress
    )
    return conclude(sums, config, unit, groups_of(split.samples))


def sum_network(
    predictor: Predictor,
    samples: Sequence[Sample],
    size: Size,
    masks: MaskKind,
    clinical: ClinicalConfig,
    unit: LengthUnit,
    on_progress: ProgressCallback | None = None,
) -> NetworkSums:
    """Return the sums of a network over some images; see `evaluate`.

    Args:
        samples: the images, of which there may be none.
        unit: of the clinical scores.
    """

    def load(sample: Sample) -> tuple[NDArray[np.uint8], Mask]:
        scan = predictor.load(sample.path, stated_size=(sample.height, sample.width))
        return sample.fitting(scan).pixels, sample.mask(size, masks)

    outcomes = (
        (resize_map(probability, size), mask)
        for probability, mask in predictor.run_ahead(samples, load)
    )
    name = str(predictor.file.path)
    return sum_outcomes(name, size, samples, outcomes, clinical, unit, on_progress)


def score(
    name: str,
    size: Size,
    samples: Sequence[Sample],
    outcomes: Iterable[Outcome],
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
    sums = sum_outcomes(name, size, samples, outcomes, config, unit, on_progress)
    return conclude(sums, config, unit, groups_of(samples))


def sum_outcomes(
    name: str,
    size: Size,
    samples: Sequence[Sample],
    outcomes: Iterable[Outcome],
    clinical: ClinicalConfig,
    unit: LengthUnit,
    on_progress: ProgressCallback | None = None,
) -> NetworkSums:
    """Return the sums of probability maps and masks; see `score` and `sum_network`."""
    calibration, added = CalibrationSums(), ClinicalScorer(samples, clinical, unit)

    def images() -> Iterator[SampleSums]:
        for done, (sample, (probability, mask)) in enumerate(zip(samples, outcomes, strict=True)):
            calibration.add(probability, mask)
            sums = pixel_sums(probability, mask), thresholded_sums(probability, mask)
            scores = added.scores(sample, probability, mask)
            volume = None if sample.slice is None else sample.slice.volume
            yield SampleSums(sample.file_name, *sums, sample.patient, *scores, volume)
            if on_progress is not None:
                on_progress(Progress(done + 1, len(samples), phase=Path(name).stem))

    table = SampleTable.of(images(), Columns(clinical.surface, clinical.lesions))
    return NetworkSums(name, size, table, calibration.sums)


def conclude(
    sums: NetworkSums, clinical: ClinicalConfig, unit: LengthUnit, groups: Sequence[int]
) -> Evaluation:
    """Return the scores that follow from the sums over all images of a split.

    Args:
        clinical, unit: as for the sums.
        groups: the group of each image; empty if none are known.
    """
    images = sums.samples
    return Evaluation(
        name=sums.name,
        size=sums.size,
        samples=images,
        soft=_averages(images.soft),
        thresholded=_averages(images.thresholded),
        calibration=CalibrationSums(sums.calibration).result(),
        false_positives=_false_positives(images),
        patients=score_patients(images),
        surface=surface_summary(images, clinical, unit, groups),
        lesions=lesion_summary(images, clinical, unit, groups),
    )


def _averages(images: PixelColumns) -> Averages:
    spreads = {name: spread(values) for name, values in image_values(images).items()}
    return Averages(spreads, scores(images.total()))


def _false_positives(images: SampleTable) -> FalsePositives:
    soft, masks = images.soft, images.thresholded
    empty = soft.target == 0.0
    decided = masks.predicted[empty] / masks.pixels[empty]
    return FalsePositives(
        images=len(decided),
        rate=spread(decided > 0.0).mean,
        area=spread(decided).mean,
        soft_area=spread(soft.predicted[empty] / soft.pixels[empty]).mean,
    )
