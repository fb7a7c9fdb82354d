"""Examining a data set: what its COCO files say, and whether its images can be read."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runtime.core.errors import AnnotationError, ImageError
from runtime.data.coco import Dataset, Split
from runtime.data.images import load_scan
from runtime.data.masks import pixels_outside
from runtime.data.samples import Defect, Sample

_DECODED = (64, 64)
_ROUNDING = 0.5
"""In pixels; as with boxes, which Roboflow rounds."""


@dataclass(frozen=True, slots=True)
class SplitSummary:
    """What a split holds.

    Attributes:
        foreground_share: mean share of an image's area that its boxes cover, in [0, 1]; NaN
            where the split has no images.
        annotated_area: mean area of an annotation's box, in pixels; NaN without annotations.
    """

    name: str
    images: int
    annotations: int
    foreground_share: float
    annotated_area: float


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The outcome of `check_dataset`."""

    root: Path
    splits: tuple[SplitSummary, ...]
    defects: tuple[Defect, ...]

    @property
    def usable(self) -> bool:
        """Whether every split can be trained and evaluated on."""
        return not any(defect.fatal for defect in self.defects)


def check_dataset(
    dataset: Dataset, *, on_image: Callable[[int, int], None] | None = None
) -> CheckReport:
    """Decode every image of a data set and draw its masks.

    Args:
        on_image: called with the number of images done and of all.
    """
    total = sum(len(split.samples) for split in dataset.splits.values())
    defects: list[Defect] = []
    done = 0
    for split in dataset.splits.values():
        defects.extend(split.defects)
        # Where no annotation has a segmentation, the data set has boxes alone, which is no defect.
        outlined = any(a.segmentation for sample in split.samples for a in sample.annotations)
        for sample in split.samples:
            defects.extend(_image_defects(split, sample, outlined))
            done += 1
            if on_image is not None:
                on_image(done, total)
    return CheckReport(dataset.root, _summaries(dataset), tuple(defects))


def _image_defects(split: Split, sample: Sample, outlined: bool) -> list[Defect]:
    if not os.path.isfile(sample.path):  # noqa: PTH113, is_file() raises on a name that is too long
        return []  # the reader has noted it
    found: list[Defect] = []
    try:
        height, width = load_scan(sample.path, _DECODED).original_size
    except ImageError as error:
        return [Defect(split.name, sample.file_name, None, str(error), "refused")]
    if (height, width) != (sample.height, sample.width):
        stated = f"{width}x{height} pixels where the COCO file says {sample.width}x{sample.height}"
        found.append(Defect(split.name, sample.file_name, None, stated, "used, boxes are scaled"))
    if not outlined:
        return found
    original = (sample.height, sample.width)
    try:
        sample.mask(original, "segmentation")  # the larger a mask, the longer its polygons
        outside = pixels_outside((a.segmentation for a in sample.annotations), original)
    except AnnotationError as error:
        action = "refused with --masks segmentation, used with --masks boxes"
        found.append(Defect(split.name, sample.file_name, None, str(error), action))
    else:
        if outside > _ROUNDING:
            text = f"a polygon up to {outside:g} pixels outside the image"
            found.append(Defect(split.name, sample.file_name, None, text, "clipped"))
    return found


def _summaries(dataset: Dataset) -> tuple[SplitSummary, ...]:
    summaries = []
    for split in dataset.splits.values():
        shares = [float(s.mask((s.height, s.width)).mean()) for s in split.samples]
        areas = [a.box[2] * a.box[3] for s in split.samples for a in s.annotations]
        summaries.append(
            SplitSummary(
                split.name,
                len(split.samples),
                len(areas),
                sum(shares) / len(shares) if shares else float("nan"),
                sum(areas) / len(areas) if areas else float("nan"),
            )
        )
    return tuple(summaries)
