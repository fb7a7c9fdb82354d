"""The formats of volumes: how a file or folder is known, read, and answered on its own grid.

A format is one entry of `FORMATS`. Its module imports the optional package inside its functions,
after `runtime.core.extras.require`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.data.volumes.nifti import is_nifti, is_nifti_result, read_nifti, write_nifti
from runtime.data.volumes.spec import Plane
from runtime.data.volumes.volume import Volume


@dataclass(frozen=True, slots=True)
class VolumeFormat:
    """A format of volumes.

    Attributes:
        name: in messages, such as "NIfTI".
        recognizes: returns whether a file or folder is of this format, without the optional
            package.
        read: returns the volume in a file or folder, in slices of a plane; the third argument
            chooses one of several volumes, from 1, and None means that there must be only one.
            Raises ImageError, MissingExtraError.
        write: writes a volume's probabilities, float32 [slices, rows, columns] in [0, 1], and at a
            threshold a mask, on the source's grid; the last argument is the path of the results
            without endings. Returns the written files. Raises OutputError.
        is_result: returns whether a file was written by `write`.
    """

    name: str
    recognizes: Callable[[Path], bool]
    read: Callable[[Path, Plane, int | None], Volume]
    write: Callable[[Volume, NDArray[np.float32], float | None, Path], tuple[Path, ...]]
    is_result: Callable[[Path], bool] = lambda path: False


FORMATS = (VolumeFormat("NIfTI", is_nifti, read_nifti, write_nifti, is_nifti_result),)


def format_of(path: Path) -> VolumeFormat | None:
    """Return the format of a file or folder; None where it is no volume."""
    return next((each for each in FORMATS if each.recognizes(path)), None)
