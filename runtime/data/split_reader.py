"""Reading the samples of one COCO file: each entry is checked, and its defects are collected."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import runtime.data.images
from runtime.core.errors import DataError, printable
from runtime.data.annotation_reader import AnnotationReader
from runtime.data.box_agreement import compare_boxes
from runtime.data.defects import Action, DefectList
from runtime.data.image_names import patient_name, stated_patient
from runtime.data.layouts import ImageFolder, is_file
from runtime.data.samples import Sample, VolumeSlice, identity_of, whole_number
from runtime.data.segmentations import finite_numbers

_MAX_SLICES = 1 << 24
_MAX_SPACING = 1e6
"""In mm. Both only keep distances finite."""


class SplitReader:
    """Reads the samples of one COCO file and collects its defects.

    Args:
        split: name of the split.
        path: the COCO file.
        images: folder of the images.
        links: folders that a link in `images` may lead to.
        intensity: of every sample.
        empty_masks: true if an image without an annotation has an empty mask, which is no defect.
    """

    def __init__(
        self,
        split: str,
        path: Path,
        images: Path,
        links: tuple[Path, ...] = (),
        *,
        intensity: int | None = None,
        empty_masks: bool = False,
    ) -> None:
        self.path = path
        self.images = ImageFolder(images, links)
        self.defects = DefectList(split, path)
        self.intensity = intensity
        self.empty_masks = empty_masks

    def read(self, content: dict[str, Any]) -> tuple[Sample, ...]:
        """Return the samples of a COCO file's content, in its order."""
        images = self._images(content["images"])
        annotations = AnnotationReader(self.defects).read(content, images)
        samples = []
        for identity, image in images.items():
            regions = annotations.get(identity, [])
            if not regions and not self.empty_masks:
                self.defects.note(image.file_name, "no annotation", Action.USED_WITH_EMPTY_MASK)
            samples.append(replace(image, annotations=tuple(regions)))
        self._compare_boxes(samples)
        return tuple(samples)

    def _compare_boxes(self, samples: Sequence[Sample]) -> None:
        """Report boxes that mostly do not match their segmentations; refuse a known mistake.

        Otherwise the boxes may be meant to hold more than what is outlined.
        """
        found = compare_boxes(samples)
        if not found.mostly_apart:
            return
        problem = (
            f"the boxes of {found.apart} of {found.compared} annotations do not lie on their "
            "segmentations"
        )
        if found.cause is not None:
            self.defects.note(self.path.name, f"{problem}: {found.cause}", Action.REFUSED)
        else:
            self.defects.note(found.first, problem, Action.USED_AS_STATED)

    def _images(self, entries: list[dict[str, Any]]) -> dict[str, Sample]:
        images: dict[str, Sample] = {}
        names: set[str] = set()
        slices: dict[tuple[str, int], str] = {}
        for entry in entries:
            identity, name = identity_of(entry.get("id")), entry.get("file_name")
            if identity is None or not isinstance(name, str):
                self._note_without_id(entry)
                continue
            if identity in images:
                self.defects.note(name, f"the image id {identity} is used twice", Action.REFUSED)
                continue
            if name in names:
                self.defects.note(
                    name, "the image is listed twice: remove one entry", Action.REFUSED
                )
                continue
            sample = self._image(entry, name)
            if sample is not None and self._has_own_slice(sample, slices):
                images[identity] = sample
                names.add(name)
        return images

    def _has_own_slice(self, sample: Sample, slices: dict[tuple[str, int], str]) -> bool:
        """Return whether an image is no slice, or one that no earlier image states; note it."""
        if sample.slice is None:
            return True
        volume, index = sample.slice.volume, sample.slice.index
        first = slices.setdefault((volume, index), sample.file_name)
        if first != sample.file_name:
            problem = f"it states to be slice {index} of volume {volume}, as {first} does"
            reason = "a slice of a volume that two images state"
            self.defects.note(sample.file_name, problem, Action.REFUSED, reason=reason)
        return first == sample.file_name

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
        self.defects.note(where, problem, Action.REFUSED, reason=f"an image without usable {key}")

    def _image(self, entry: dict[str, Any], name: str) -> Sample | None:
        width, height = (whole_number(entry.get(side)) or 0 for side in ("width", "height"))
        if min(width, height) <= 0 or width * height > runtime.data.images.MAX_PIXELS:
            sides = (entry.get("width"), entry.get("height"))
            stated = "x".join(repr(side)[:40] for side in sides)
            whole = all(whole_number(side) is not None for side in sides)
            remark = "" if whole else ", not two integers"
            self.defects.note(name, f"a stated size of {stated} pixels{remark}", Action.REFUSED)
            return None
        try:
            path = self.images.find(name)
        except DataError as error:
            self.defects.note(name, str(error), Action.REFUSED)
            return None
        folder = self.images.folder
        if not is_file(path):
            missing = f"no such image in {folder}: add it, or remove its entry"
            self.defects.note(name, missing, Action.REFUSED, missing=True)
        elif path != folder / name:
            found = path.relative_to(folder).as_posix()
            reason = "a file whose name has another spelling"
            other = Action.USED_WITH_OTHER_SPELLING
            self.defects.note(name, f"{reason}, {found}", other, reason=reason)
        group = entry.get("group")
        return Sample(
            path,
            name,
            width,
            height,
            annotations=(),
            group=group if type(group) is int else None,
            patient=stated_patient(entry) or patient_name(name),
            spacing=self._spacing(entry, name),
            slice=self._slice(entry, name),
            intensity=self.intensity,
        )

    def _slice(self, entry: dict[str, Any], name: str) -> VolumeSlice | None:
        """Return the place of an image in a volume, where it is stated."""
        volume, index = entry.get("volume"), whole_number(entry.get("slice"))
        if volume is None:
            return None
        if isinstance(volume, str) and index is not None and 0 <= index < _MAX_SLICES:
            stated = finite_numbers([entry.get("slice_spacing")])
            known = stated is not None and 0.0 < stated[0] <= _MAX_SPACING
            return VolumeSlice(volume, index, stated[0] if stated and known else None)
        reason = "a volume without a usable number of the slice"
        self.defects.note(name, reason, Action.USED)
        return None

    def _spacing(self, entry: dict[str, Any], name: str) -> tuple[float, float] | None:
        """Return the distance between rows and between columns in mm, where it is stated."""
        stated = entry.get("spacing")
        numbers = finite_numbers(stated)
        if numbers is not None and len(numbers) == 2 and min(numbers) > 0.0:
            return numbers[0], numbers[1]
        if stated is not None:
            reason = "a spacing that is not two positive numbers"
            self.defects.note(
                name, f"{reason}, {printable(stated, 40)}", Action.USED, reason=reason
            )
        return None
