"""The accuracy of a network on a split: measured, or read from an evaluation file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.metrics import STUDY_METRICS
from runtime.scoring.bootstrap import Bootstrap
from runtime.scoring.comparison import soft_values
from runtime.scoring.evaluation import Evaluation
from runtime.scoring.results import ScoredFile, read_report


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Soft metrics of a network on a split: accuracy over all images, the others over the images
    with foreground, as means over images.

    Attributes:
        data: folder of the data set.
        split: name of the split.
        masks: "boxes" or "segmentation", from which the target masks were drawn.
        size: (height, width) at which masks and probabilities were compared.
        images: number of images.
        groups: number of groups of similar images that the bootstrap drew; `images` if unknown.
        accuracy, recall, precision, iou: soft metrics in [0, 1], means over images.
        iou_low, iou_high: ends of the 95 % interval of `iou`.
        pooled_iou: soft IoU over the pixels of all images together.
        iou_at_half: IoU at threshold 0.5, mean over images.
        per_image_iou: soft IoU of each image, NaN if undefined; empty in old results.
        image_groups: group of each image; empty if unknown.
        foreground_images: number of images with foreground; None in old results.
        withheld: why `iou` has no interval; None if it has one.
    """

    data: str
    split: str
    masks: str
    size: tuple[int, ...]
    images: int
    groups: int
    accuracy: float
    recall: float
    precision: float
    iou: float
    iou_low: float
    iou_high: float
    pooled_iou: float
    iou_at_half: float
    per_image_iou: tuple[float, ...] = ()
    image_groups: tuple[int, ...] = ()
    foreground_images: int | None = None
    withheld: str | None = None


def accuracy_of(
    evaluation: Evaluation, groups: Sequence[int], data: str, split: str, masks: str
) -> Accuracy:
    """Return the accuracy of an evaluation.

    Args:
        evaluation: scores of every image of the split.
        groups: group of each image, in the order of the split; empty if unknown.
        data: folder of the data set.
        split: name of the split.
        masks: "boxes" or "segmentation".
    """
    images = len(evaluation.samples)
    bootstrap = Bootstrap(images, groups or None)
    each = soft_values(evaluation, "iou")
    interval = bootstrap.mean(each)
    soft = {name: evaluation.soft.per_image[name].mean for name in STUDY_METRICS}
    return Accuracy(
        data=data,
        split=split,
        masks=masks,
        size=evaluation.size,
        images=images,
        groups=bootstrap.groups,
        **soft,
        iou_low=interval.low,
        iou_high=interval.high,
        pooled_iou=evaluation.soft.pooled.iou,
        iou_at_half=evaluation.thresholded.per_image["iou"].mean,
        per_image_iou=tuple(float(value) for value in each),
        image_groups=tuple(groups),
        foreground_images=images - evaluation.false_positives.images,
        withheld=interval.withheld,
    )


def read_accuracy(path: Path) -> dict[tuple[str, str, str], Accuracy]:
    """Return the accuracies in a file of `seg-eval --json`, by digest, provider and arithmetic.

    Raises:
        DataError: the file cannot be read, or is not an evaluation.
    """
    report = read_report(path)
    return {
        (model.digest, *_computed_by(model)): accuracy_of(
            model.evaluation, report.groups, report.data, report.split, report.masks
        )
        for model in report.models
    }


def _computed_by(model: ScoredFile) -> tuple[str, str]:
    """Return the provider and the arithmetic of a score; old results are of the CPU provider."""
    engine = model.engine
    return ("cpu", "float32") if engine is None else (engine.provider, engine.arithmetic)
