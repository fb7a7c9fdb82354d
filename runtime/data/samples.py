"""The samples of one COCO file, and its defects with the action taken on each."""

import os
from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import runtime.data.images
from runtime.core.errors import AnnotationError, DataError, printable
from runtime.core.files import confined
from runtime.core.settings import MaskKind as MaskKind
from runtime.data.image_names import stated_patient
from runtime.data.images import Size
from runtime.data.masks import Box, finite_numbers, mask_from_boxes, mask_from_segmentations

SPECK_SHARE = 1e-4
"""A box with a smaller share of its image is reported as a speck."""
MAX_DEFECTS = 100_000
"""Most defects of a COCO file that are listed; a file with more is refused."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotated region of an image.

    Attributes:
        id: as in the COCO file.
        box: x, y, width and height, in pixels of the image size that the COCO file states.
        segmentation: as in the COCO file, not yet checked.
    """

    id: object
    box: Box
    segmentation: Any


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a split and its annotations.

    Attributes:
        width, height: in pixels, as the COCO file states them.
        group: number of the group of similar images; None where the COCO file has no groups.
        patient: the patient that the COCO file states; None where it states none.

    Example:
        >>> annotation = Annotation(id=1, box=(2.0, 0.0, 4.0, 4.0), segmentation=None)
        >>> Sample(Path("data/a.png"), "a.png", 8, 8, (annotation,)).mask((4, 4))
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

    def mask(self, size: Size, kind: MaskKind = "boxes") -> NDArray[np.uint8]:
        """Return the foreground, uint8 [height, width] of 0 and 1, rasterized at `size`.

        Args:
            kind: "boxes" for the annotations' boxes, "segmentation" for their outlines.

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


class Action(StrEnum):
    """The action that every command takes on a defect, as it is displayed."""

    REFUSED = "refused"
    """A command that needs the split stops."""
    DROPPED = "dropped"
    """The annotation is not used."""
    CLIPPED = "clipped"
    """The part outside the image is not used."""
    USED = "used"
    USED_WITH_EMPTY_MASK = "used, with an empty mask"
    USED_WITH_SCALED_BOXES = "used, with scaled boxes"
    USED_FOR_BOXES = "refused with --masks segmentation, used with --masks boxes"


@dataclass(frozen=True, slots=True)
class Defect:
    """Something wrong in a data set, and the action taken on it.

    Attributes:
        where: file name of the image or of the COCO file.
        annotation: id of the annotation with the defect; None where it concerns no annotation.
        problem: a description of the defect.
        missing: true where the image file does not exist.

    Example:
        >>> defect = Defect("train", "a.png", "7", "a box outside the image", Action.DROPPED)
        >>> print(f"{defect}; {defect.action}")
        a.png, annotation 7: a box outside the image; dropped
        >>> defect.fatal
        False
    """

    split: str
    where: str
    annotation: str | None
    problem: str
    action: Action
    missing: bool = False

    @property
    def fatal(self) -> bool:
        """True where a command that needs the split stops."""
        return self.action is Action.REFUSED

    def __str__(self) -> str:
        annotation = "" if self.annotation is None else f", annotation {self.annotation}"
        return f"{self.where}{annotation}: {self.problem}"


def _side(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


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
        if isinstance(category, dict) and type(category.get("id")) in (int, str)
    ]


class SplitReader:
    """Reads the samples of one COCO file and collects its defects.

    Args:
        split: name of the split.
        path: the COCO file.
        images: folder of the images.
        links: folders that a link in `images` may lead to.
    """

    def __init__(self, split: str, path: Path, images: Path, links: tuple[Path, ...] = ()) -> None:
        self.split = split
        self.path = path
        self.images = images
        self.links = links
        self.defects: list[Defect] = []

    def note(
        self,
        where: str,
        problem: str,
        action: Action,
        annotation: object = None,
        *,
        missing: bool = False,
    ) -> None:
        if len(self.defects) >= MAX_DEFECTS:
            raise AnnotationError(f"{self.path}: more than {MAX_DEFECTS} defects in one COCO file")
        identity = None if annotation is None else printable(annotation, 40)
        self.defects.append(
            Defect(
                self.split,
                printable(where, 200),
                identity,
                printable(problem, 400),
                action,
                missing,
            )
        )

    def read(self, content: dict[str, Any]) -> tuple[Sample, ...]:
        images = self._images(content["images"])
        annotations = self._annotations(content, images)
        samples = []
        for identity, image in images.items():
            regions = annotations.get(identity, [])
            if not regions:
                self.note(image.file_name, "no annotation", Action.USED_WITH_EMPTY_MASK)
            samples.append(replace(image, annotations=tuple(regions)))
        return tuple(samples)

    def _images(self, entries: list[dict[str, Any]]) -> dict[object, Sample]:
        images: dict[object, Sample] = {}
        names: set[str] = set()
        for entry in entries:
            identity, name = entry.get("id"), entry.get("file_name")
            if type(identity) not in (int, str) or not isinstance(name, str):
                self.note(self.path.name, "an image without id or file_name", Action.REFUSED)
                continue
            if identity in images:
                self.note(name, f"the image id {identity} is used twice", Action.REFUSED)
                continue
            if name in names:
                self.note(name, "the image is listed twice", Action.REFUSED)
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
            remark = "" if all(type(side) is int for side in sides) else ", not two integers"
            self.note(name, f"a stated size of {stated} pixels{remark}", Action.REFUSED)
            return None
        try:
            path = confined(self.images, name, links=self.links)
        except DataError as error:
            self.note(name, str(error), Action.REFUSED)
            return None
        if not os.path.isfile(path):  # noqa: PTH113, is_file() raises on a name that is too long
            self.note(name, f"no such image in {self.images}", Action.REFUSED, missing=True)
        group = entry.get("group")
        return Sample(
            path,
            name,
            width,
            height,
            annotations=(),
            group=group if type(group) is int else None,
            patient=stated_patient(entry),
        )

    def _annotations(
        self, content: dict[str, Any], images: dict[object, Sample]
    ) -> dict[object, list[Annotation]]:
        known = {category["id"] for category in sound_categories(content)}
        counts = Counter(str(entry.get("id")) for entry in content["annotations"])
        usable: dict[object, list[Annotation]] = {}
        for entry in content["annotations"]:
            identity, owner = entry.get("id"), entry.get("image_id")
            image = images.get(owner) if type(owner) in (int, str) else None
            where = self.path.name if image is None else image.file_name
            if counts[str(identity)] > 1:
                self.note(where, "the annotation id is used twice", Action.USED, identity)
            category = entry.get("category_id")
            if type(category) not in (int, str) or category not in known:
                self.note(
                    where, f"an unknown category {printable(category, 40)}", Action.USED, identity
                )
            if image is None:
                self.note(
                    where, f"an unknown image id {printable(owner, 40)}", Action.DROPPED, identity
                )
                continue
            box = self._box(entry.get("bbox"), image, identity)
            if box is not None:
                annotation = Annotation(identity, box, entry.get("segmentation"))
                usable.setdefault(owner, []).append(annotation)
        return usable

    def _box(self, value: object, image: Sample, identity: object) -> Box | None:
        numbers = finite_numbers(value)
        if numbers is None or len(numbers) != 4:
            self.note(image.file_name, f"a box of {printable(value, 80)}", Action.DROPPED, identity)
            return None
        x, y, width, height = numbers
        inside = (
            max(0.0, min(x + width, image.width) - max(x, 0.0)),
            max(0.0, min(y + height, image.height) - max(y, 0.0)),
        )
        if width <= 0 or height <= 0:
            self.note(
                image.file_name, f"an empty box, {width:g}x{height:g}", Action.DROPPED, identity
            )
            return None
        if 0.0 in inside:
            self.note(image.file_name, "a box outside the image", Action.DROPPED, identity)
            return None
        # Roboflow rounds x and y, so a box at the edge may reach half a pixel beyond it.
        if inside[0] < width - 0.5 or inside[1] < height - 0.5:
            self.note(image.file_name, "a box partly outside the image", Action.CLIPPED, identity)
        share = inside[0] * inside[1] / (image.width * image.height)
        if share < SPECK_SHARE:
            speck = f"a speck, {width:g}x{height:g} pixels, {share:.4%} of the image"
            self.note(image.file_name, speck, Action.USED, identity)
        return (x, y, width, height)
