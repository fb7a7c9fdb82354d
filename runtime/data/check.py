"""Checking a data set: every defect of its COCO files, images and masks."""

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

from runtime.core.errors import AnnotationError, DataWarning, ImageError
from runtime.core.progress import Progress, ProgressCallback
from runtime.data.coco import Dataset, Split
from runtime.data.images import load_scan
from runtime.data.masks import pixels_outside
from runtime.data.samples import Action, Defect, Sample

_DECODED = (64, 64)
_ROUNDING = 0.5
"""Pixels that a polygon may reach outside the image: Roboflow rounds coordinates."""


@dataclass(frozen=True, slots=True)
class SplitSummary:
    """Counts and means of one split.

    Attributes:
        images, annotations: how many there are.
        foreground_share: mean share of an image's area that its boxes cover, in [0, 1]; NaN
            without images.
        annotated_area: mean area of an annotation's box, in pixels; NaN without annotations.
    """

    name: str
    images: int
    annotations: int
    foreground_share: float
    annotated_area: float


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of `check_dataset`."""

    root: Path
    splits: tuple[SplitSummary, ...]
    defects: tuple[Defect, ...]

    @property
    def usable(self) -> bool:
        """True where every split can be used for training and evaluation."""
        return not any(defect.fatal for defect in self.defects)


def check_dataset(dataset: Dataset, *, on_progress: ProgressCallback | None = None) -> CheckReport:
    """Decode every image of a data set, rasterize its masks, and report all defects.

    Args:
        on_progress: called after each image, with numbers of images.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from runtime.data.coco import read_dataset
        >>> from runtime.data.phantom import PhantomConfig, make_phantom
        >>> with TemporaryDirectory() as folder:
        ...     config = PhantomConfig(train=2, valid=1, test=1, slices=1, size=32)
        ...     report = check_dataset(read_dataset(make_phantom(folder, config)))
        >>> report.usable, [(split.name, split.images) for split in report.splits]
        (True, [('train', 2), ('valid', 1), ('test', 1)])
    """
    total = sum(len(split.samples) for split in dataset.splits.values())
    defects: list[Defect] = []
    done = 0
    for split in dataset.splits.values():
        defects.extend(split.defects)
        # A data set without any segmentation has only boxes, which is not a defect.
        outlined = any(a.segmentation for sample in split.samples for a in sample.annotations)
        for sample in split.samples:
            defects.extend(_image_defects(split, sample, outlined))
            done += 1
            if on_progress is not None:
                on_progress(Progress(done, total))
    return CheckReport(dataset.root, _summaries(dataset), tuple(defects))


def _image_defects(split: Split, sample: Sample, outlined: bool) -> list[Defect]:
    if not os.path.isfile(sample.path):  # noqa: PTH113, is_file() raises on a name that is too long
        return []  # the reader of the COCO file has reported it
    defects: list[Defect] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DataWarning)
            stated_size = (sample.height, sample.width)
            scan = load_scan(sample.path, _DECODED, stated_size=stated_size)
    except ImageError as error:
        return [Defect(split.name, sample.file_name, None, str(error), Action.REFUSED)]
    height, width = scan.original_size
    for warning in caught:
        problem = str(warning.message).removeprefix(f"{sample.path}: ")
        defects.append(Defect(split.name, sample.file_name, None, problem, Action.USED))
    if (height, width) != (sample.height, sample.width):
        stated = f"{width}x{height} pixels where the COCO file says {sample.width}x{sample.height}"
        defects.append(
            Defect(split.name, sample.file_name, None, stated, Action.USED_WITH_SCALED_BOXES)
        )
    if not outlined:
        return defects
    original = (sample.height, sample.width)
    try:
        # At full size, where the perimeters of the polygons are largest.
        sample.mask(original, "segmentation")
        outside = pixels_outside((a.segmentation for a in sample.annotations), original)
    except AnnotationError as error:
        defects.append(
            Defect(split.name, sample.file_name, None, str(error), Action.USED_FOR_BOXES)
        )
    else:
        if outside > _ROUNDING:
            text = f"a polygon up to {outside:g} pixels outside the image"
            defects.append(Defect(split.name, sample.file_name, None, text, Action.CLIPPED))
    return defects


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
