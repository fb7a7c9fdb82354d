"""Reading the samples of one COCO file: each entry is checked, and its defects are collected."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import runtime.data.images
from runtime.core.errors import AnnotationError, DataError, printable
from runtime.data.image_names import stated_patient
from runtime.data.layouts import ImageFolder, is_file
from runtime.data.masks import Box, box_of_segmentation, finite_numbers
from runtime.data.samples import (
    Action,
    Annotation,
    Defect,
    Sample,
    identity_of,
    sound_categories,
    whole_number,
)

SPECK_SHARE = 1e-4
"""A box with a smaller share of its image is reported as a speck."""
MAX_DEFECTS = 100_000
"""Most defects of a COCO file that are listed; a file with more is refused."""


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
        self.images = ImageFolder(images, links)
        self.defects: list[Defect] = []

    def note(
        self,
        where: str,
        problem: str,
        action: Action,
        annotation: object = None,
        *,
        reason: str = "",
        missing: bool = False,
    ) -> None:
        """Add a defect; `reason` is the problem without its values, where it has any."""
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
                reason or printable(problem, 400),
            )
        )

    def read(self, content: dict[str, Any]) -> tuple[Sample, ...]:
        """Return the samples of a COCO file's content, in its order."""
        images = self._images(content["images"])
        annotations = self._annotations(content, images)
        number = len(content["annotations"])
        if number and images and not annotations:
            lost = "its only annotation is" if number == 1 else f"all its {number} annotations are"
            self.note(self.path.name, f"{lost} dropped, so no mask is left", Action.REFUSED)
        if _are_shares(content["annotations"], images):
            self.note(
                self.path.name,
                "the boxes are shares of the image, from 0 to 1; COCO boxes are in pixels",
                Action.REFUSED,
            )
        samples = []
        for identity, image in images.items():
            regions = annotations.get(identity, [])
            if not regions:
                self.note(image.file_name, "no annotation", Action.USED_WITH_EMPTY_MASK)
            samples.append(replace(image, annotations=tuple(regions)))
        return tuple(samples)

    def _images(self, entries: list[dict[str, Any]]) -> dict[str, Sample]:
        images: dict[str, Sample] = {}
        names: set[str] = set()
        for entry in entries:
            identity, name = identity_of(entry.get("id")), entry.get("file_name")
            if identity is None or not isinstance(name, str):
                self._note_without_id(entry)
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

    def _note_without_id(self, entry: dict[str, Any]) -> None:
        name = entry.get("file_name")
        key, expected = "file_name", "text"
        if isinstance(name, str):
            key, expected = "id", "an integer or text"
        where = name if isinstance(name, str) else self.path.name
        found = printable(repr(entry.get(key)), 40)
        problem = f"an image without {key}"
        if key in entry:
            problem = f"expected {expected} as {key} of an image, found {found}"
        self.note(where, problem, Action.REFUSED, reason=f"an image without usable {key}")

    def _image(self, entry: dict[str, Any], name: str) -> Sample | None:
        width, height = (whole_number(entry.get(side)) or 0 for side in ("width", "height"))
        if min(width, height) <= 0 or width * height > runtime.data.images.MAX_PIXELS:
            sides = (entry.get("width"), entry.get("height"))
            stated = "x".join(repr(side)[:40] for side in sides)
            whole = all(whole_number(side) is not None for side in sides)
            remark = "" if whole else ", not two integers"
            self.note(name, f"a stated size of {stated} pixels{remark}", Action.REFUSED)
            return None
        try:
            path = self.images.find(name)
        except DataError as error:
            self.note(name, str(error), Action.REFUSED)
            return None
        folder = self.images.folder
        if not is_file(path):
            self.note(name, f"no such image in {folder}", Action.REFUSED, missing=True)
        elif path != folder / name:
            found = path.relative_to(folder).as_posix()
            reason = "a file whose name has another spelling"
            other = Action.USED_WITH_OTHER_SPELLING
            self.note(name, f"{reason}, {found}", other, reason=reason)
        group = entry.get("group")
        return Sample(
            path,
            name,
            width,
            height,
            annotations=(),
            group=group if type(group) is int else None,
            patient=stated_patient(entry),
            spacing=self._spacing(entry, name),
        )

    def _spacing(self, entry: dict[str, Any], name: str) -> tuple[float, float] | None:
        """Return the distance between rows and between columns in mm, where it is stated."""
        stated = entry.get("spacing")
        numbers = finite_numbers(stated)
        if numbers is not None and len(numbers) == 2 and min(numbers) > 0.0:
            return numbers[0], numbers[1]
        if stated is not None:
            reason = "a spacing that is not two positive numbers"
            self.note(name, f"{reason}, {printable(stated, 40)}", Action.USED, reason=reason)
        return None

    def _annotations(
        self, content: dict[str, Any], images: dict[str, Sample]
    ) -> dict[str, list[Annotation]]:
        names = {
            identity_of(category["id"]): str(category.get("name", category["id"]))
            for category in sound_categories(content)
        }
        counts = Counter(str(entry.get("id")) for entry in content["annotations"])
        usable: dict[str, list[Annotation]] = {}
        for entry in content["annotations"]:
            identity, owner = entry.get("id"), identity_of(entry.get("image_id"))
            image = None if owner is None else images.get(owner)
            where = self.path.name if image is None else image.file_name
            if counts[str(identity)] > 1:
                self.note(where, "the annotation id is used twice", Action.USED, identity)
            category = names.get(identity_of(entry.get("category_id")))
            if category is None:
                unknown = f"an unknown category {printable(entry.get('category_id'), 40)}"
                self.note(where, unknown, Action.USED, identity, reason="an unknown category")
            if image is None or owner is None:
                unknown = f"an unknown image id {printable(entry.get('image_id'), 40)}"
                self.note(where, unknown, Action.DROPPED, identity, reason="an unknown image id")
                continue
            box = self._box(entry, image)
            if box is not None:
                annotation = Annotation(identity, box, entry.get("segmentation"), category)
                usable.setdefault(owner, []).append(annotation)
        return usable

    def _box(self, entry: dict[str, Any], image: Sample) -> Box | None:
        """Return an annotation's box, or that of its segmentation where it has none."""
        identity, box = entry.get("id"), _numbers_of_box(entry.get("bbox"))
        fault = _fault(entry.get("bbox"), box, image)
        if fault is not None:
            problem, reason = fault
            box = box_of_segmentation(entry.get("segmentation"), (image.height, image.width))
            usable = box is not None and _fault(None, box, image) is None
            action = Action.USED_WITH_DERIVED_BOX if usable else Action.DROPPED
            self.note(image.file_name, problem, action, identity, reason=reason)
            if not usable:
                return None
        assert box is not None
        _, _, width, height = box
        inside = _sides_inside(box, image)
        # Roboflow rounds x and y, so a box at the edge may reach half a pixel beyond it.
        if inside[0] < width - 0.5 or inside[1] < height - 0.5:
            self.note(image.file_name, "a box partly outside the image", Action.CLIPPED, identity)
        share = inside[0] * inside[1] / (image.width * image.height)
        if share < SPECK_SHARE:
            speck = f"a speck, {width:g}x{height:g} pixels, {share:.4%} of the image"
            self.note(image.file_name, speck, Action.USED, identity, reason="a speck")
        return box


def _numbers_of_box(value: object) -> Box | None:
    numbers = finite_numbers(value)
    if numbers is None or len(numbers) != 4:
        return None
    x, y, width, height = numbers
    return x, y, width, height


def _fault(value: object, box: Box | None, image: Sample) -> tuple[str, str] | None:
    """Return why a box is not usable, with and without its values; None for a usable one."""
    if box is None:
        return f"a box of {printable(value, 80)}", "a box that is not four numbers"
    if box[2] <= 0 or box[3] <= 0:
        return f"an empty box, {box[2]:g}x{box[3]:g}", "an empty box"
    if 0.0 in _sides_inside(box, image):
        return "a box outside the image", "a box outside the image"
    return None


def _sides_inside(box: Box, image: Sample) -> tuple[float, float]:
    """Return width and height of the part of a box that is inside the image."""
    x, y, width, height = box
    return (
        max(0.0, min(x + width, image.width) - max(x, 0.0)),
        max(0.0, min(y + height, image.height) - max(y, 0.0)),
    )


def _are_shares(entries: list[dict[str, Any]], images: dict[str, Sample]) -> bool:
    """Return whether all boxes are shares of the image: in 0 to 1, and not whole pixels."""
    boxes = [box for entry in entries if (box := _numbers_of_box(entry.get("bbox"))) is not None]
    return (
        any(not number.is_integer() for box in boxes for number in box)
        and all(0.0 <= number <= 1.0 for box in boxes for number in box)
        and any(min(image.width, image.height) > 8 for image in images.values())
    )
