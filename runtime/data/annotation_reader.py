"""Reading the annotations of a COCO file: which are used, and what their boxes and polygons are."""

from collections import Counter
from typing import Any

from runtime.core.errors import printable
from runtime.data.boxes import are_shares, fault_of_box, numbers_of_box, sides_inside
from runtime.data.defects import Action, DefectList
from runtime.data.samples import Annotation, Sample, identity_of, sound_categories
from runtime.data.segmentations import (
    Box,
    box_of_segmentation,
    has_nested_polygons,
    nested_polygons,
    without_fragments,
)

SPECK_SHARE = 1e-4
"""A box with a smaller share of its image is reported as a speck."""
_FLAGS = {
    # CrowdHuman and VisDrone mark so what is neither foreground nor background.
    "ignore": ("marked to be ignored", Action.DROPPED),
    # Its pixels belong to the category. CVAT writes every mask of its brush so.
    "iscrowd": ("groups of objects", Action.USED_AS_FOREGROUND),
}


class AnnotationReader:
    """Reads the annotations of one COCO file.

    Args:
        defects: the file's defects, to which those of annotations are added.
    """

    def __init__(self, defects: DefectList) -> None:
        self._defects = defects

    def read(
        self, content: dict[str, Any], images: dict[str, Sample]
    ) -> dict[str, list[Annotation]]:
        """Return the usable annotations of a COCO file's content by the id of their image.

        Args:
            images: the usable images by id.
        """
        annotations = self._annotations(content, images)
        number = len(content["annotations"])
        if number and images and not annotations:
            lost = "its only annotation is" if number == 1 else f"all its {number} annotations are"
            self._note_file(f"{lost} dropped, so no mask is left", Action.REFUSED)
        boxes = [annotation.box for found in annotations.values() for annotation in found]
        if any(min(i.width, i.height) > 8 for i in images.values()) and are_shares(boxes):
            shares = (
                "the boxes or polygons are shares of the image, from 0 to 1; COCO's are in pixels"
            )
            self._note_file(shares, Action.REFUSED)
        return annotations

    def _note_file(self, problem: str, action: Action, annotation: object = None) -> None:
        self._defects.note(self._defects.path.name, problem, action, annotation)

    def _annotations(
        self, content: dict[str, Any], images: dict[str, Sample]
    ) -> dict[str, list[Annotation]]:
        names = {
            identity_of(category["id"]): str(category.get("name", category["id"]))
            for category in sound_categories(content)
        }
        entries = content["annotations"]
        self._note_flags(entries)
        counts = Counter(str(entry.get("id")) for entry in entries)
        usable: dict[str, list[Annotation]] = {}
        for entry in entries:
            identity, owner = entry.get("id"), identity_of(entry.get("image_id"))
            image = None if owner is None else images.get(owner)
            where = self._defects.path.name if image is None else image.file_name
            if counts[str(identity)] > 1:
                self._defects.note(where, "the annotation id is used twice", Action.USED, identity)
            category = names.get(identity_of(entry.get("category_id")))
            if category is None:
                unknown = f"an unknown category {printable(entry.get('category_id'), 40)}"
                self._defects.note(
                    where, unknown, Action.USED, identity, reason="an unknown category"
                )
            if image is None or owner is None:
                found = printable(entry.get("image_id"), 40)
                reason = "an annotation of an image that is not listed"
                self._defects.note(
                    where, f"{reason} (image id {found})", Action.DROPPED, identity, reason=reason
                )
                continue
            annotation = self._annotation(entry, category, image)
            if annotation is not None:
                usable.setdefault(owner, []).append(annotation)
        return usable

    def _note_flags(self, entries: list[dict[str, Any]]) -> None:
        flagged: dict[str, list[object]] = {}
        for entry in entries:
            flag = _flag_of(entry)
            if flag is not None:
                flagged.setdefault(flag, []).append(entry.get("id"))
        for flag, ids in flagged.items():
            meaning, action = _FLAGS[flag]
            problem = f"{meaning} ({flag}: 1), {len(ids)} of {len(entries)} annotations"
            self._note_file(problem, action, ids[0])

    def _annotation(
        self, entry: dict[str, Any], category: str | None, image: Sample
    ) -> Annotation | None:
        flag = _flag_of(entry)
        if flag is not None and _FLAGS[flag][1] is Action.DROPPED:
            return None
        segmentation = self._segmentation(entry, image)
        box = self._box(entry, segmentation, image)
        return None if box is None else Annotation(entry.get("id"), box, segmentation, category)

    def _segmentation(self, entry: dict[str, Any], image: Sample) -> object:
        nested = nested_polygons(entry.get("segmentation"))
        whole = without_fragments(nested)
        if whole != nested:
            fragment = "a polygon of fewer than three points beside others"
            self._defects.note(image.file_name, fragment, Action.DROPPED, entry.get("id"))
        if has_nested_polygons(whole):
            hole = "a polygon inside another, which is filled, since COCO has no holes"
            self._defects.note(image.file_name, hole, Action.USED_AS_FOREGROUND, entry.get("id"))
        return whole

    def _box(self, entry: dict[str, Any], segmentation: object, image: Sample) -> Box | None:
        """Return an annotation's box, or that of its segmentation where it has none."""
        size = (image.height, image.width)
        identity, box = entry.get("id"), numbers_of_box(entry.get("bbox"))
        fault = fault_of_box(entry.get("bbox"), box, size)
        if fault is not None:
            problem, reason = fault
            box = box_of_segmentation(segmentation, size)
            usable = box is not None and fault_of_box(None, box, size) is None
            action = Action.USED_WITH_DERIVED_BOX if usable else Action.DROPPED
            self._defects.note(image.file_name, problem, action, identity, reason=reason)
            if not usable:
                return None
        assert box is not None
        _, _, width, height = box
        inside = sides_inside(box, size)
        # Roboflow rounds x and y, so a box at the edge may reach half a pixel beyond it.
        if inside[0] < width - 0.5 or inside[1] < height - 0.5:
            self._defects.note(
                image.file_name, "a box partly outside the image", Action.CLIPPED, identity
            )
        share = inside[0] * inside[1] / (image.width * image.height)
        if share < SPECK_SHARE:
            speck = f"a speck, {width:g}x{height:g} pixels, {share:.4%} of the image"
            self._defects.note(image.file_name, speck, Action.USED, identity, reason="a speck")
        return box


def _flag_of(entry: dict[str, Any]) -> str | None:
    return next((flag for flag in _FLAGS if entry.get(flag) in (1, "1")), None)
