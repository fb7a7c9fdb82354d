"""The formats of volumes: how a file or folder is known, read, and answered on its own grid.

A format is one entry of `FORMATS`. Its module imports the optional package inside its functions,
after `runtime.core.extras.require`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.core.progress import ProgressCallback
from runtime.data.volumes.dicom_seg import is_dicom_result, write_dicom
from runtime.data.volumes.dicom_series import is_dicom, read_dicom
from runtime.data.volumes.nifti import is_nifti, is_nifti_result, read_nifti, write_nifti
from runtime.data.volumes.spec import Plane, VolumeSpec
from runtime.data.volumes.volume import PredictedBy, Volume


@dataclass(frozen=True, slots=True)
class VolumeFormat:
    """A format of volumes.

    Attributes:
        name: in messages, such as "NIfTI".
        unit: what a file or folder is counted as, in messages: "volume" or "series".
        recognizes: returns whether a file or folder is of this format, without the optional
            package.
        read: returns the volume in a file or folder, in slices of a plane, or of the plane that is
            usual for the format where it is None; the third argument
            chooses one of several volumes, from 1, and None means that there must be only one; the
            last one is called as headers are read. Raises ImageError, MissingExtraError.
        write: writes a volume's probabilities, float32 [slices, rows, columns] in [0, 1], and at a
            threshold a mask, on the source's grid; then come the path of the results without
            endings, the network that made them, and a callback, called after each written slice.
            Returns the written files. Raises OutputError.
        is_result: returns whether a file was written by `write`.
        rule: how slices become gray images for a network that does not state it.
    """

    name: str
    unit: str
    recognizes: Callable[[Path], bool]
    read: Callable[[Path, Plane | None, int | None, ProgressCallback | None], Volume]
    write: Callable[
        [Volume, NDArray[np.float32], float | None, Path, PredictedBy, ProgressCallback | None],
        tuple[Path, ...],
    ]
    is_result: Callable[[Path], bool]
    rule: VolumeSpec


def _read_nifti(
    path: Path, plane: Plane | None, number: int | None, on_progress: ProgressCallback | None
) -> Volume:
    return read_nifti(path, plane or "axial", number)


def _write_nifti(
    volume: Volume,
    probability: NDArray[np.float32],
    threshold: float | None,
    base: Path,
    network: PredictedBy,
    on_progress: ProgressCallback | None,
) -> tuple[Path, ...]:
    """As `write_nifti`; a NIfTI header has no place for a network."""
    return write_nifti(volume, probability, threshold, base, on_progress)


FORMATS = (
    VolumeFormat(
        "NIfTI", "volume", is_nifti, _read_nifti, _write_nifti, is_nifti_result, VolumeSpec()
    ),
    VolumeFormat(
        *("DICOM", "series", is_dicom, read_dicom, write_dicom, is_dicom_result),
        rule=VolumeSpec(range="stated"),
    ),
)


def format_of(path: Path) -> VolumeFormat | None:
    """Return the format of a file or folder; None where it is no volume."""
    return next((each for each in FORMATS if each.recognizes(path)), None)
