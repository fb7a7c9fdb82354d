"""The samples of one COCO file, and every defect in it with what is done about it."""

import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import runtime.data.images
from runtime.core.errors import AnnotationError, DataError, printable
from runtime.core.files import confined
from runtime.core.settings import MaskKind as MaskKind
from runtime.data.images import Size
from runtime.data.masks import Box, finite_numbers, mask_from_boxes, mask_from_segmentations

SPECK_SHARE = 1e-4
"""A box below this share of its image is reported as a speck."""
MAX_DEFECTS = 100_000
"""Of a COCO file; one with more is refused, since three bytes of it can make three defects."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotated region: its box in pixels of the stated image size, and its segmentation."""

    id: object
    box: Box
    segmentation: Any


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a split and its annotations.

    Attributes:
        width, height: as the COCO file states them.
        group: of images that show nearly the same, where the COCO file tells of groups.
    """

    path: Path
    file_name: str
    width: int
    height: int
    annotations: tuple[Annotation, ...]
    group: int | None = None

    def mask(self, size: Size, kind: MaskKind = "boxes") -> NDArray[np.uint8]:
        """Return the foreground, uint8 [height, width] of 0 and 1, rasterized at `size`.

        Raises:
            AnnotationError: a segmentation cannot be rasterized.
        """
        original = (self.height, self.width)
        if kind == "boxes":
            return mask_from_boxes((a.box for a in self.annotations), original, size)
        segmentations = (a.segmentation for a in self.annotations)
        return mask_from_segmentations(
            segmentations, original, size, where=f"{self.path}: segmentation"
        )


@dataclass(frozen=True, slots=True)
class Defect:
    """Something in a data set that is not as it should be, and what is done about it.

    Attributes:
        where: the image's file name, or the COCO file's.
        annotation: the annotation's id, where the defect is in one.
        action: what every command does about it; "refused" means that they stop.
        missing: whether it is an image that is not there.
    """

    split: str
    where: str
    annotation: str | None
    found: str
    action: str
    missing: bool = False

    @property
    def fatal(self) -> bool:
        """Whether a command that needs the split stops."""
        return self.action == "refused"

    def __str__(self) -> str:
        annotation = "" if self.annotation is None else f", annotation {self.annotation}"
        return f"{self.where}{annotation}: {self.found}"


def _side(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def sound_categories(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the categories of a COCO file that have an id."""
    categories = content.get("categories")
    return [
        category
        for category in (categories if isinstance(categories, list) else [])
        if isinstance(category, dict) and type(category.get("id")) in (int, str)
    ]


class SplitReader:
    """Reads one COCO file and notes each defect with what is done about it."""

    def __init__(self, split: str, path: Path, images: Path) -> None:
        self.split = split
        self.path = path
        self.images = images
        self.defects: list[Defect] = []

    def note(
        self,
        where: str,
        found: str,
        action: str,
        annotation: object = None,
        *,
        missing: bool = False,
    ) -> None:
        if len(self.defects) >= MAX_DEFECTS:
            raise AnnotationError(
                f"{self.path}: expected a COCO file of up to {MAX_DEFECTS} defects, found more"
            )
        identity = None if annotation is None else printable(annotation, 40)
        self.defects.append(
            Defect(
                self.split, printable(where, 200), identity, printable(found, 400), action, missing
            )
        )

    def read(self, content: dict[str, Any]) -> tuple[Sample, ...]:
        images = self._images(content["images"])
        annotations = self._annotations(content, images)
        samples = []
        for identity, image in images.items():
            found = annotations.get(identity, [])
            if not found:
                self.note(image.file_name, "no annotation", "used, with an empty mask")
            samples.append(replace(image, annotations=tuple(found)))
        return tuple(samples)

    def _images(self, entries: list[dict[str, Any]]) -> dict[object, Sample]:
        images: dict[object, Sample] = {}
        names: set[str] = set()
        for entry in entries:
            identity, name = entry.get("id"), entry.get("file_name")
            if type(identity) not in (int, str) or not isinstance(name, str):
                self.note(self.path.name, "an image without id or file_name", "refused")
                continue
            if identity in images:
                self.note(name, f"the image id {identity} is used twice", "refused")
                continue
            if name in names:
                self.note(name, "the image is listed twice", "refused")
                continue
            sample = self._image(entry, name)
            if sample is not None:
                images[identity] = sample
                names.add(name)
        return images

    def _image(self, entry: dict[str, Any], name: str) -> Sample | None:
        width, height = _side(entry.get("width")), _side(entry.get("height"))
        if not 0 < width * height <= runtime.data.images.MAX_PIXELS:
            sides = (entry.get("width"), entry.get("height"))
            stated = "x".join(repr(side)[:40] for side in sides)
            what = "" if all(type(side) is int for side in sides) else ", not two integers"
            self.note(name, f"a stated size of {stated} pixels{what}", "refused")
            return None
        try:
            path = confined(self.images, name)
        except DataError as error:
            self.note(name, str(error), "refused")
            return None
        if not os.path.isfile(path):  # noqa: PTH113, is_file() raises on a name that is too long
            found = f"expected the image in {self.images}, found none"
            self.note(name, found, "refused", missing=True)
        group = entry.get("group")
        return Sample(path, name, width, height, (), group if type(group) is int else None)

    def _annotations(
        self, content: dict[str, Any], images: dict[object, Sample]
    ) -> dict[object, list[Annotation]]:
        known = {category["id"] for category in sound_categories(content)}
        counts = Counter(str(entry.get("id")) for entry in content["annotations"])
        kept: dict[object, list[Annotation]] = {}
        for entry in content["annotations"]:
            identity, owner = entry.get("id"), entry.get("image_id")
            image = images.get(owner) if type(owner) in (int, str) else None
            where = self.path.name if image is None else image.file_name
            if counts[str(identity)] > 1:
                self.note(where, "the annotation id is used twice", "used", identity)
            category = entry.get("category_id")
            if type(category) not in (int, str) or category not in known:
                self.note(where, f"an unknown category {printable(category, 40)}", "used", identity)
            if image is None:
                self.note(
                    where, f"an unknown image id {printable(owner, 40)}", "left out", identity
                )
                continue
            box = self._box(entry.get("bbox"), image, identity)
            if box is not None:
                annotation = Annotation(identity, box, entry.get("segmentation"))
                kept.setdefault(owner, []).append(annotation)
        return kept

    def _box(self, value: object, image: Sample, identity: object) -> Box | None:
        numbers = finite_numbers(value)
        if numbers is None or len(numbers) != 4:
            self.note(image.file_name, f"a box of {printable(value, 80)}", "left out", identity)
            return None
        x, y, width, height = numbers
        inside = (
            max(0.0, min(x + width, image.width) - max(x, 0.0)),
            max(0.0, min(y + height, image.height) - max(y, 0.0)),
        )
        if width <= 0 or height <= 0:
            self.note(image.file_name, f"an empty box, {width:g}x{height:g}", "left out", identity)
            return None
        if 0.0 in inside:
            self.note(image.file_name, "a box outside the image", "left out", identity)
            return None
        # Roboflow rounds x and y, so that a box at the edge may pass it by half a pixel.
        if inside[0] < width - 0.5 or inside[1] < height - 0.5:
            self.note(image.file_name, "a box partly outside the image", "clipped", identity)
        share = inside[0] * inside[1] / (image.width * image.height)
        if share < SPECK_SHARE:
            found = f"a speck, {width:g}x{height:g} pixels, {share:.4%} of the image"
            self.note(image.file_name, found, "used", identity)
        return (x, y, width, height)
