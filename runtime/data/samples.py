"""The samples of a split: its images, with their annotations and masks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.core.errors import ImageError, printable
from runtime.core.settings import MaskKind as MaskKind
from runtime.data.images import Scan, SizeRule, load_scan
from runtime.data.masks import mask_from_boxes, mask_from_segmentations
from runtime.data.orientation import Size
from runtime.data.segmentations import Box

_ROUNDING = 1.5
"""Pixels by which the height of a resized image may differ from its stated proportions."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotated region of an image.

    Attributes:
        id: as in the COCO file.
        box: x, y, width and height, in pixels of the image size that the COCO file states.
        segmentation: as in the COCO file, not yet checked; its polygons are in an outer list, and
            those of fewer than three points are left out where others remain.
        category: name of the category; None where the COCO file does not have it.
    """

    id: object
    box: Box
    segmentation: Any
    category: str | None = None


@dataclass(frozen=True, slots=True)
class VolumeSlice:
    """The place of an image in a volume.

    Attributes:
        volume: name of the volume, unique in a data set.
        index: number of the slice; neighbors differ by 1.
        spacing: distance to a neighbor in mm; None where it is unknown.
    """

    volume: str
    index: int
    spacing: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a split and its annotations.

    Attributes:
        width, height: in pixels, as the COCO file states them.
        group: number of the group of similar images; None where the COCO file has no groups.
        patient: the patient that the COCO file or the file name states; None where neither does.
        spacing: distance between the centers of two rows, and of two columns, in mm; None where the
            COCO file does not state it.
        slice: where the image is in a volume; None for a picture.
        intensity: level of a 16-bit image that is white; None for what the image states, or 65535
            (`runtime.data.levels`).

    Example:
        >>> annotation = Annotation(id=1, box=(2.0, 0.0, 4.0, 4.0), segmentation=None)
        >>> Sample(Path("data/a.png"), "a.png", 8, 8, (annotation,)).mask((4, 4), "boxes")
        array([[0, 1, 1, 0],
               [0, 1, 1, 0],
               [0, 0, 0, 0],
               [0, 0, 0, 0]], dtype=uint8)
    """

    path: Path
    file_name: str
    width: int
    height: int
    annotations: tuple[Annotation, ...]
    group: int | None = None
    patient: str | None = None
    spacing: tuple[float, float] | None = None
    slice: VolumeSlice | None = None
    intensity: int | None = None

    def load(self, size: Size | SizeRule | None = None) -> Scan:
        """Decode the image and resize it (`runtime.data.images.load_scan`).

        The image is turned as its EXIF tag says, unless the stored size is the stated one.

        Raises:
            ImageError: the image cannot be read, or has other proportions than the COCO file
                states.
        """
        stated = (self.height, self.width)
        return self.fitting(
            load_scan(self.path, size, intensity=self.intensity, stated_size=stated)
        )

    def fitting(self, scan: Scan) -> Scan:
        """Return the sample's decoded image.

        Raises:
            ImageError: it has other proportions than the COCO file states, so that the annotations
                cannot fit.
        """
        height, width = scan.original_size
        if abs(height - self.height * width / self.width) > _ROUNDING:
            exchanged = (width, height) == (self.height, self.width)
            raise ImageError(
                f"{self.path}: {width}x{height} pixels, where the COCO file states "
                f"{self.width}x{self.height}: the annotations do not fit this image"
                + (", or width and height are exchanged" if exchanged else "")
            )
        return scan

    def mask(self, size: Size, kind: MaskKind) -> NDArray[np.uint8]:
        """Return the foreground, uint8 [height, width] of 0 and 1, rasterized at `size`.

        Args:
            kind: "boxes" for the annotations' boxes, "segmentation" for their outlines. The whole
                data set decides which of them is meant (`runtime.data.targets.choose_targets`).

        Raises:
            AnnotationError: a segmentation cannot be rasterized.
        """
        original = (self.height, self.width)
        if kind == "boxes":
            return mask_from_boxes((a.box for a in self.annotations), original, size)
        mask = np.zeros(size, np.uint8)
        for annotation in self.annotations:
            where = f"{self.path}, annotation {printable(annotation.id, 40)}: segmentation"
            outline = [annotation.segmentation]
            mask |= mask_from_segmentations(outline, original, size, where=where)
        return mask


def identity_of(value: object) -> str | None:
    """Return an id of a COCO file as text, so that 1, 1.0 and "1" are the same id.

    Returns:
        None for a value that is no id.

    Example:
        >>> identity_of(1), identity_of(1.0), identity_of("1"), identity_of(1.5), identity_of(True)
        ('1', '1', '1', None, None)
    """
    number = whole_number(value)
    if number is not None:
        return str(number)
    return value if isinstance(value, str) else None


def whole_number(value: object) -> int | None:
    """Return an integer of JSON, which some programs write as 64.0; None for any other value.

    Example:
        >>> whole_number(64.0), whole_number(64.5), whole_number("64")
        (64, None, None)
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if type(value) is int else None


def sound_categories(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the categories of a COCO file that have an id.

    Example:
        >>> sound_categories({"categories": [{"id": 1, "name": "tumor"}, {"name": "other"}]})
        [{'id': 1, 'name': 'tumor'}]
    """
    categories = content.get("categories")
    return [
        category
        for category in (categories if isinstance(categories, list) else [])
        if isinstance(category, dict) and identity_of(category.get("id")) is not None
    ]
