"""The accuracy that stands beside a cost: measured, or taken from an evaluation file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.metrics import STUDY_METRICS
from runtime.scoring.bootstrap import Bootstrap
from runtime.scoring.comparison import soft_values
from runtime.scoring.evaluation import Evaluation
from runtime.scoring.results import read_report


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Soft metrics of a network on a split, means over images, and IoU's 95 % interval.

    Attributes:
        size: (height, width) at which masks and probabilities were compared.
        groups: of similar images that the interval's bootstrap drew; as many as images where they
            are not known, and in what is taken from an evaluation file.
        iou_low, iou_high: the interval.
        pooled_iou: over all pixels together.
        iou_at_half: thresholded at 0.5, mean over images.
        per_image_iou: soft IoU of each image, NaN where it is undefined, so that two networks can
            be compared image by image; empty in results from before it was kept.
        image_groups: the group of each image; empty where they are not known.
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


def accuracy_of(
    evaluation: Evaluation, groups: Sequence[int | None], data: str, split: str, masks: str
) -> Accuracy:
    """Return an evaluation in short.

    Args:
        groups: of the split's images, in their order; used where every image has one.
    """
    known = tuple(group for group in groups if group is not None)
    images = len(evaluation.samples)
    if len(known) < images:
        known = ()
    bootstrap = Bootstrap(images, known or None)
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
        image_groups=known,
    )


def read_accuracy(path: Path) -> dict[str, Accuracy]:
    """Return the accuracy of each network in a file of `seg-eval --json`, by its digest.

    Raises:
        DataError: the file cannot be read, or is not an evaluation.
    """
    report = read_report(path)
    return {
        model.digest: accuracy_of(model.evaluation, (), report.data, report.split, report.masks)
        for model in report.models
    }
