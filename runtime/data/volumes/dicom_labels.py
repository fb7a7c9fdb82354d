"""Labels of images from DICOM segmentations that refer to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import runtime.data.images
from runtime.core.errors import ImageError
from runtime.core.extras import require
from runtime.data.volumes.dicom_files import opened, read_header
from runtime.data.volumes.dicom_images import MAX_IMAGES, DicomImage
from runtime.metrics import THRESHOLD

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
_ATTRIBUTES = (
    *("SOPClassUID", "SegmentationType", "MaximumFractionalValue", "SegmentSequence"),
    *("Rows", "Columns", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
Place = tuple[str, int]
"""An image: the instance of its file, and its number in the file, from 0."""


@dataclass(frozen=True, slots=True, eq=False)
class DicomSegmentation:
    """A segmentation's header.

    Attributes:
        path: of the file.
        names: of the segments, by number.
        frames: of each image, the frames of the segmentation that are of it, each with the number
            of its segment.
        size: rows and columns.
        highest: the value of probability 1.
    """

    path: Path
    names: Mapping[int, str]
    frames: Mapping[Place, Sequence[tuple[int, int]]]
    size: tuple[int, int]
    highest: int

    def labels(self, image: DicomImage, levels: Mapping[str, int]) -> NDArray[np.uint16]:
        """Return the label of each pixel of an image, uint16 [rows, columns]; 0 is background.

        A pixel of a fractional segment belongs to it from one half on. Where segments overlap, the
        one with the highest number counts.

        Args:
            levels: the label that each segment's name stands for.

        Raises:
            ImageError: the segmentation is damaged, or has another size than the image.
        """
        if image.size != self.size:
            raise ImageError(
                f"{self.path}: {self.size[1]}x{self.size[0]} pixels, but the image "
                f"{image.path.name} has {image.size[1]}x{image.size[0]}"
            )
        labels = np.zeros(self.size, np.uint16)
        frames = self.frames.get((image.instance, image.frame), ())
        for frame, segment in sorted(frames, key=lambda each: each[1]):
            labels[self._stored(frame) >= THRESHOLD * self.highest] = levels[self.names[segment]]
        return labels

    def _stored(self, frame: int) -> NDArray[Any]:
        from pydicom.pixels.utils import pixel_array

        with opened(self.path) as file:
            stored: NDArray[Any] = pixel_array(file, index=frame)
            if stored.shape != self.size:
                raise ImageError(f"{self.path}: damaged pixel data")
            return stored


def read_segmentation(path: Path) -> DicomSegmentation | None:
    """Return the header of a DICOM segmentation; None where the file holds another object.

    Raises:
        MissingExtraError: pydicom is not installed.
        ImageError: the file is damaged, or does not state which images it is of.
    """
    require("dicom", "pydicom")
    with opened(path) as file:
        header = read_header(file, path, _ATTRIBUTES)
        if header.get("SOPClassUID") != SEGMENTATION:
            return None
        size = (int(header.Rows), int(header.Columns))
        if not 0 < size[0] * size[1] <= runtime.data.images.MAX_PIXELS:
            raise ImageError(f"{path}: a wrong size, {size[1]}x{size[0]} pixels")
        names = {
            int(segment.SegmentNumber): str(segment.get("SegmentLabel") or segment.SegmentNumber)
            for segment in header.SegmentSequence
        }
        frames = _frames(header)
        if not frames:
            raise ImageError(f"{path}: a segmentation that does not state which images it is of")
        fractional = str(header.SegmentationType) == "FRACTIONAL"
        highest = int(header.MaximumFractionalValue) if fractional else 1
        return DicomSegmentation(path, names, frames, size, highest)


def _frames(header: Any) -> dict[Place, list[tuple[int, int]]]:
    """Return the frames of each image, each with the number of its segment."""
    shared = (header.get("SharedFunctionalGroupsSequence") or [{}])[0]
    frames: dict[Place, list[tuple[int, int]]] = {}
    for number, own in enumerate(header.PerFrameFunctionalGroupsSequence[:MAX_IMAGES]):
        identification = "SegmentIdentificationSequence"
        segments = own.get(identification) or shared[identification].value
        segment = int(segments[0].ReferencedSegmentNumber)
        for derivation in own.get("DerivationImageSequence") or []:
            for source in derivation.get("SourceImageSequence") or []:
                stated = source.get("ReferencedFrameNumber") or 1
                numbers = stated if isinstance(stated, Sequence) else [stated]
                for place in ((str(source.ReferencedSOPInstanceUID), int(n) - 1) for n in numbers):
                    frames.setdefault(place, []).append((number, segment))
    return frames
