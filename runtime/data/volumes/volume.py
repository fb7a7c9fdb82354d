"""A scan in three dimensions, as a stack of slices that are read when they are asked for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """A scan in three dimensions.

    Slices are read one at a time, so that memory does not grow with their number.

    Attributes:
        name: of the results, without folder and endings.
        source: the file or folder that the scan was read from.
        shape: numbers of slices, rows and columns.
        read: returns slice i, float32 [rows, columns], in the source's units; a voxel without a
            value is NaN. It may be called in threads.
        spacing: distances of slices, rows and columns in mm; None where unknown.
        affine: float64 [4, 4]: `affine @ (slice, row, column, 1)` is the position of a voxel's
            center in mm, toward the patient's right, front and head (RAS+); None where unknown.
        patient: stands for the patient in results; None for what the source states.
        levels: returns slice i as a gray image, uint8 [rows, columns], in the window that the
            source states; None where it states none.
        inverted: whether low values are white.
        modality: in DICOM's terms, such as "MR"; None where the source states none.
        origin: what the source's format needs to write results on its grid
            (`runtime.data.volumes.formats`).

    Example:
        >>> volume = volume_of(np.zeros((2, 3, 4), np.float32), spacing=(5.0, 1.0, 1.0))
        >>> volume.shape, volume.read(1).shape, volume.spacing
        ((2, 3, 4), (3, 4), (5.0, 1.0, 1.0))
    """

    name: str
    source: Path
    shape: tuple[int, int, int]
    read: Callable[[int], NDArray[np.float32]]
    spacing: tuple[float, float, float] | None = None
    affine: NDArray[np.float64] | None = None
    patient: str | None = None
    levels: Callable[[int], NDArray[np.uint8]] | None = None
    inverted: bool = False
    modality: str | None = None
    origin: object = None

    def slices(self) -> Iterator[NDArray[np.float32]]:
        """Yield each slice, float32 [rows, columns], in order."""
        return (self.read(index) for index in range(self.shape[0]))

    @property
    def voxels(self) -> NDArray[np.float32]:
        """The whole scan in memory, float32 [slices, rows, columns]."""
        return np.stack(list(self.slices()))


@dataclass(frozen=True, slots=True)
class PredictedBy:
    """The network that made a result, as a result states it.

    Attributes:
        name: of its file, without the folder.
        digest: of its file, in hexadecimal digits.
        label: what its foreground is, in words.
    """

    name: str
    digest: str
    label: str = "foreground"


def volume_of(
    voxels: NDArray[np.float32],
    *,
    name: str = "volume",
    source: Path | None = None,
    spacing: tuple[float, float, float] | None = None,
    affine: NDArray[np.float64] | None = None,
    patient: str | None = None,
) -> Volume:
    """Return an array float32 [slices, rows, columns] as a volume; the other arguments are its.

    Example:
        >>> volume_of(np.zeros((2, 3, 4), np.float32), name="head").voxels.shape
        (2, 3, 4)
    """
    slices, rows, columns = voxels.shape
    read = voxels.__getitem__
    shape = (slices, rows, columns)
    return Volume(name, source or Path(name), shape, read, spacing, affine, patient)
