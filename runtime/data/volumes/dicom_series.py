"""DICOM series as volumes: images in the order of their places, decoded when they are asked for."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from runtime.core.errors import DataWarning, ImageError
from runtime.core.progress import ProgressCallback, report_progress
from runtime.data.images import SUFFIXES
from runtime.data.volumes.dicom_files import class_name, is_dicom_file, object_class
from runtime.data.volumes.dicom_images import NO_SCANS, DicomImage, read_images
from runtime.data.volumes.dicom_pixels import decode
from runtime.data.volumes.mapped import DecodedOnce
from runtime.data.volumes.planes import SliceOrder, slice_order, spacing_of
from runtime.data.volumes.spec import Plane
from runtime.data.volumes.volume import Volume

Level = TypeVar("Level", bound=np.generic)

_SUFFIXES = (".dcm", ".dicom", ".ima")
RESULT_ENDINGS = (".probability.dcm", ".mask.dcm")
_DIRECTORY = "DICOMDIR"
"""The name that the standard gives to a medium's table of contents."""
_SAME_PLACE = 0.01
"""Images that are no more mm apart show the same place."""
_GAP = 1.5
"""A step between slices of so many usual steps is a gap."""
_PARALLEL = 1e-3
_AS_STORED = SliceOrder((0, 1, 2), (False, False, False))
_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True, eq=False)
class DicomSeries:
    """The images of a series, in the order of their places.

    Attributes:
        source: file or folder.
        images: along the normal of their plane, or in the order of their numbers.
        affine: float64 [4, 4], from (image, row, column) to RAS+; None where places are unknown.
        order: how the slices of a volume are taken from the stored images.
    """

    source: Path
    images: tuple[DicomImage, ...]
    affine: NDArray[np.float64] | None
    order: SliceOrder

    def volume(self) -> Volume:
        """Return the series as a volume."""
        rows, columns = (self.images[0].size[axis - 1] for axis in self.order.axes[1:])
        shape = (len(self.images), rows, columns)
        affine = None if self.affine is None else self.order.affine(self.affine, shape)
        windows = all(image.rule.interest is not None for image in self.images)
        path = self.source
        return Volume(
            path.stem if path.suffix.lower() in _SUFFIXES else path.name,
            path,
            shape,
            DecodedOnce(self.slices(lambda image: image.rule.values(decode(image)))),
            spacing=None if affine is None else spacing_of(affine),
            affine=affine,
            levels=self.slices(_levels) if windows else None,
            inverted=self.images[0].rule.inverted,
            modality=self.images[0].modality,
            origin=self,
        )

    def slices(
        self, read: Callable[[DicomImage], NDArray[Level]]
    ) -> Callable[[int], NDArray[Level]]:
        """Return a function that reads slice i of the volume by what reads a stored image."""
        last = len(self.images) - 1

        def slice_at(index: int) -> NDArray[Level]:
            image = self.images[last - index if self.order.flipped[0] else index]
            return self.order.slices(read(image)[None])[0]  # type: ignore[no-any-return]

        return slice_at


def _levels(image: DicomImage) -> NDArray[np.uint8]:
    return image.rule.levels(decode(image))


def is_dicom(path: Path) -> bool:
    """Return whether a path is a DICOM file, or a folder that directly contains a scan.

    A table of contents (DICOMDIR) does not count, and in a folder no object that is no scan, such
    as a segmentation.
    """
    if path.name.upper() == _DIRECTORY:
        return False
    return is_dicom_file(path) or any(map(_may_be_scan, dicom_files(path)))


def _may_be_scan(path: Path) -> bool:
    """Return False for objects of other kinds; a damaged file may be a scan, and is named later."""
    if find_spec("pydicom") is None:
        return True
    try:
        return object_class(path) not in NO_SCANS
    except ImageError:
        return True


def read_dicom(
    path: Path,
    plane: Plane | None = None,
    number: int | None = None,
    on_progress: ProgressCallback | None = None,
) -> Volume:
    """Return a DICOM file, or the series in a folder, as a volume.

    Other objects in the folder, such as reports and segmentations, are passed over. Values are
    those of the modality, such as Hounsfield units; `Volume.levels` are those of the window that
    the images state.

    Args:
        plane: that the slices must have been acquired in; None for any.
        number: of a folder of several series, from 1, in the order of their numbers.
        on_progress: called after each header of a folder, in the phase "headers", with numbers of
            files.

    Raises:
        MissingExtraError: pydicom is not installed.
        ImageError: a file cannot be read, or the images do not form one volume.
    """
    return series_of(path, _chosen(path, number, on_progress), plane).volume()


def series_of(
    source: Path, images: Sequence[DicomImage], plane: Plane | None = None
) -> DicomSeries:
    """Return the images of one series in the order of their places.

    Gaps, copies and missing positions are warned about.

    Args:
        source: file or folder, for messages.
        plane: that the slices must have been acquired in; None for any.

    Raises:
        ImageError: the images do not form one volume.
    """
    images = _without_copies(source, images)
    if len({(image.size, image.rule.inverted) for image in images}) > 1:
        raise ImageError(f"{source}: its images have different sizes or kinds; expected one stack")
    if len({image.path for image in images}) > 1 and any(image.frame for image in images):
        raise ImageError(f"{source}: several files of many images each; expected one of them")
    placed = [image for image in images if image.position and image.directions]
    if len(placed) < len(images):
        if len(images) > 1:
            text = (
                f"{source}: its images do not all state a position, so they are ordered by their "
                "numbers, and lengths are in pixels"
            )
            warnings.warn(text, DataWarning, stacklevel=2)
        numbered = sorted(images, key=lambda image: (image.number, image.path, image.frame))
        return DicomSeries(source, tuple(numbered), None, _AS_STORED)
    ordered, step = _along_normal(source, images)
    affine = _affine(ordered[0], step)
    if affine is None:
        return DicomSeries(source, ordered, None, _AS_STORED)
    orders = {each: slice_order(affine, each) for each in get_args(Plane)}
    acquired = next(each for each, order in orders.items() if order.axes[0] == 0)
    if plane is not None and plane != acquired:
        raise ImageError(f"{source}: {acquired} slices, expected {plane} ones")
    return DicomSeries(source, ordered, affine, orders[acquired])


def dicom_files(folder: Path) -> Iterator[Path]:
    """Yield the DICOM files directly in a folder."""
    try:
        names = sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError:
        return
    for path in names:
        passed_over = path.suffix.lower() in SUFFIXES or path.name.upper() == _DIRECTORY
        if not passed_over and is_dicom_file(path):
            yield path


def _chosen(
    path: Path, number: int | None, on_progress: ProgressCallback | None
) -> tuple[DicomImage, ...]:
    """Return the images of a file, or of one series of a folder."""
    if is_dicom_file(path) or not path.is_dir():
        images = read_images(path)
        if not images:
            raise ImageError(f"{path}: {class_name(object_class(path))}, expected a scan")
        return images
    by_series = folder_series(path, on_progress)
    if not by_series:
        raise ImageError(f"{path}: no DICOM images")
    if number is None and len(by_series) > 1:
        sizes = ", ".join(str(len(images)) for images in by_series)
        raise ImageError(
            f"{path}: {len(by_series)} series, of {sizes} images, in one folder; choose one with "
            "--volume of seg-predict, or give each a folder"
        )
    if number is not None and not 1 <= number <= len(by_series):
        raise ImageError(f"{path}: no series {number}, the series are 1 to {len(by_series)}")
    return by_series[(number or 1) - 1]


def folder_series(
    folder: Path, on_progress: ProgressCallback | None = None
) -> list[tuple[DicomImage, ...]]:
    """Return the images of each series in a folder, in the order of the series' numbers.

    Args:
        on_progress: called after each file, in the phase "headers".

    Raises:
        MissingExtraError: pydicom is not installed.
        ImageError: a file cannot be read.
    """
    by_series: dict[tuple[int, str], list[DicomImage]] = {}
    files = list(dicom_files(folder))
    for done, path in enumerate(files, start=1):
        for image in read_images(path):
            by_series.setdefault((image.series_number, image.series), []).append(image)
        report_progress(on_progress, "headers", done, len(files))
    return [tuple(by_series[key]) for key in sorted(by_series)]


def _without_copies(source: Path, images: Sequence[DicomImage]) -> tuple[DicomImage, ...]:
    """Return the images, each once: copies of a file state the same instance."""
    single = {(image.instance or str(image.path), image.frame): image for image in images}
    copies = len(images) - len(single)
    if copies:
        text = f"{source}: copies of its images ({copies}), which were passed over"
        warnings.warn(text, DataWarning, stacklevel=2)
    return tuple(single.values())


def _along_normal(
    source: Path, images: Sequence[DicomImage]
) -> tuple[tuple[DicomImage, ...], float | None]:
    """Return images in their order along the normal of their plane, and the usual step in mm."""
    directions = np.array([image.directions for image in images])
    if np.abs(directions - directions[0]).max() > _PARALLEL:
        raise ImageError(f"{source}: its images are not parallel, as in a localizer")
    normal = np.cross(*directions[0])
    distances = np.array([image.position for image in images]) @ normal
    order = np.argsort(distances, kind="stable")
    ordered = tuple(images[index] for index in order)
    if len(images) == 1:
        return ordered, None
    steps = np.diff(distances[order])
    same = int(np.count_nonzero(steps < _SAME_PLACE))
    if same:
        raise ImageError(
            f"{source}: {same} of {len(images)} images at the same place as another one, as phases "
            "and echoes are; give each stack a folder"
        )
    step = float(np.median(steps))
    gaps = int(np.count_nonzero(steps > _GAP * step))
    if gaps:
        text = (
            f"{source}: gaps between its slices ({gaps}), of up to {steps.max():.4g} mm, where the "
            f"usual step is {step:.4g} mm"
        )
        warnings.warn(text, DataWarning, stacklevel=2)
    return ordered, step


def _affine(first: DicomImage, step: float | None) -> NDArray[np.float64] | None:
    """Return the affine of a stack from (image, row, column) to RAS+."""
    if first.spacing is None or first.position is None or first.directions is None:
        return None
    along_row, along_column = np.array(first.directions)
    affine = np.eye(4)
    # A single image has no next one: then this length only completes the matrix.
    affine[:3, 0] = np.cross(along_row, along_column) * (step or first.thickness or 1.0)
    affine[:3, 1] = along_column * first.spacing[0]
    affine[:3, 2] = along_row * first.spacing[1]
    affine[:3, 3] = first.position
    return _TO_RAS @ affine
