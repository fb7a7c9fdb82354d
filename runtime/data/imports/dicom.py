"""DICOM series with DICOM segmentations that refer to their images.

Nothing of a header that tells of the patient gets into the data set: a patient is a keyed hash, and
scans are numbered.
"""

import hashlib
import hmac
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.core.errors import DataError, ImageError
from runtime.core.extras import require
from runtime.data.defects import Defect
from runtime.data.imports.source import ImportSource, LabeledScan, SourceOptions, skipped
from runtime.data.volumes.dicom_images import DicomImage, read_images
from runtime.data.volumes.dicom_labels import DicomSegmentation, read_segmentation
from runtime.data.volumes.dicom_series import dicom_files, series_of
from runtime.data.volumes.spec import Plane
from runtime.data.volumes.volume import Volume

_DIGITS = 16


def is_dicom_folder(folder: Path, options: SourceOptions) -> bool:
    """Return whether there is a DICOM file in a folder or below it."""
    return any(True for _ in _all_files(folder))


def read_dicom_folder(folder: Path, options: SourceOptions) -> ImportSource:
    """Find the series of a folder that segmentations refer to.

    A series may lie in several folders. A patient is the hash of the patient ID and its issuer,
    with a key that is made of the series' UIDs: equal in one data set, and not to be guessed by who
    has only the data set.

    Raises:
        DataError: there is no segmentation, or none of images that are there.
        MissingExtraError: pydicom is not installed.
    """
    require("dicom", "pydicom")
    found = _Found()
    for path in _all_files(folder):
        found.add(path)
    if not found.segmentations:
        raise DataError(f"{folder}: no segmentation among its DICOM files")
    key = hashlib.sha256("\n".join(sorted(found.series)).encode()).digest()
    names = sorted({name for each in found.segmentations for name in each.names.values()})
    levels = {name: number for number, name in enumerate(names, start=1)}
    owned: dict[str, list[DicomSegmentation]] = {}
    for segmentation in found.segmentations:
        owners = {found.owner[place] for place in segmentation.frames if place in found.owner}
        if not owners:
            problem = "a segmentation whose source images are not there"
            found.defects.append(skipped(segmentation.path.relative_to(folder), problem))
        for owner in owners:
            owned.setdefault(owner, []).append(segmentation)
    found.defects += [
        skipped(images[0].path.parent.relative_to(folder), "a series without a segmentation")
        for series, images in found.series.items()
        if series not in owned
    ]
    scans = tuple(
        LabeledScan(
            f"series{number:04d}",
            partial(_open, found.series[series], tuple(segmentations), levels),
            patient=patient_hash(found.series[series][0].patient, key),
        )
        for number, (series, segmentations) in enumerate(owned.items(), start=1)
    )
    if not scans:
        raise DataError(f"{folder}: no source images of the segmentation {found.defects[0].where}")
    return ImportSource(
        folder,
        "DICOM series with segmentations",
        scans,
        "patient IDs, hashed",
        {number: name for name, number in levels.items()},
        tuple(found.defects),
    )


class _Found:
    """The images and segmentations of a folder, and what cannot be used.

    Attributes:
        series: the images of each series, by its UID.
        owner: the series of each image.
    """

    def __init__(self) -> None:
        self.series: dict[str, list[DicomImage]] = {}
        self.owner: dict[tuple[str, int], str] = {}
        self.segmentations: list[DicomSegmentation] = []
        self.defects: list[Defect] = []

    def add(self, path: Path) -> None:
        try:
            images = read_images(path)
            segmentation = None if images else read_segmentation(path)
        except ImageError as error:
            self.defects.append(skipped(path.name, str(error)))
            return
        if segmentation is not None:
            self.segmentations.append(segmentation)
        for image in images:
            self.series.setdefault(image.series, []).append(image)
            self.owner[image.instance, image.frame] = image.series


def patient_hash(patient: tuple[str, str] | None, key: bytes) -> str | None:
    """Return the keyed hash of a patient ID and its issuer (HMAC-SHA256), 16 hexadecimal digits.

    Example:
        >>> patient_hash(("17", ""), b"key"), patient_hash(None, b"key")
        ('c1149f4db322cda6', None)
    """
    if patient is None:
        return None
    return hmac.new(key, "\0".join(patient).encode(), hashlib.sha256).hexdigest()[:_DIGITS]


def _all_files(folder: Path) -> Iterator[Path]:
    for each, below, _ in os.walk(folder):
        below.sort()
        yield from dicom_files(Path(each))


def _open(
    images: Sequence[DicomImage],
    segmentations: Sequence[DicomSegmentation],
    levels: Mapping[str, int],
    plane: Plane | None,
) -> tuple[Volume, Volume]:
    """Open a series and the labels of its images, in the same slices."""
    series = series_of(images[0].path.parent, images, plane)
    volume = series.volume()

    def labels(image: DicomImage) -> NDArray[np.float32]:
        joined = np.zeros(image.size, np.uint16)
        for segmentation in segmentations:
            own = segmentation.labels(image, levels)
            joined = np.where(own, own, joined)
        return joined.astype(np.float32)

    read = series.slices(labels)
    return volume, Volume(volume.name, segmentations[0].path, volume.shape, read)
