"""The headers of NIfTI files (https://nifti.nimh.nih.gov), every value checked before its use."""

from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

import runtime.data.images
from runtime.core.errors import ImageError

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

MAX_BYTES = 1 << 32
"""Most bytes of all volumes of a file."""
WRITTEN_BY = b"seg-toolkit"
"""The beginning of the description in a written file, by which it is known as a result."""
_MAX_AXIS = 32767
_HEADERS = {348: (344, b"n+1\0"), 540: (4, b"n+2\0")}
"""By the size of the header, NIfTI-1's and NIfTI-2's: place and value of the magic number."""
_MM = {1: 1000.0, 3: 0.001}
"""Millimeters in the units of space that are others: meters and micrometers."""


@dataclass(frozen=True, slots=True, eq=False)
class NiftiHeader:
    """The content of a header, checked.

    Attributes:
        fields: the header, of nibabel.
        shape: of one volume, as stored.
        volumes: number of volumes in the file.
        dtype: of the stored voxels, with their byte order.
        offset: of the first voxel in the file, in bytes.
        scaling: slope and intercept of the stored values; None where they are the values.
        affine: float64 [4, 4], from stored indices to RAS+ in mm.
        located: whether the file states the position in the patient; the affine has the axes of
            the format's method 1 otherwise: left, front, head.
    """

    fields: "Nifti1Header"
    shape: tuple[int, int, int]
    volumes: int
    dtype: np.dtype[Any]
    offset: int
    scaling: tuple[float, float] | None
    affine: NDArray[np.float64]
    located: bool

    @property
    def volume_bytes(self) -> int:
        """The size of one volume in the file."""
        first, second, third = self.shape
        return first * second * third * self.dtype.itemsize

    @property
    def end(self) -> int:
        """The size of the file up to its last voxel."""
        return self.offset + self.volumes * self.volume_bytes


def read_header(stream: IO[bytes], path: Path) -> NiftiHeader:
    """Read the header of a single NIfTI file.

    Raises:
        ImageError: there is none, or a value in it cannot be used.
    """
    fields = _fields(stream, path)
    shape, volumes = _shape(fields, path)
    affine, located = _affine(fields, path)
    header = NiftiHeader(
        fields,
        shape,
        volumes,
        _dtype(fields, path),
        _offset(fields, path),
        _scaling(fields, path),
        affine,
        located,
    )
    if header.end > MAX_BYTES:
        raise ImageError(f"{path}: expected at most {MAX_BYTES} bytes, found {header.end}")
    return header


def result_header(
    source: "Nifti1Header", shape: tuple[int, ...], dtype: np.dtype[Any], content: bytes
) -> "Nifti1Header":
    """Return a header with the grid of `source`, for one volume of values in 0 to 1."""
    header: Nifti1Header = source.copy()
    header["dim"] = [3, *shape, 1, 1, 1, 1]
    header.set_data_dtype(dtype)
    header["vox_offset"] = int(header["sizeof_hdr"]) + 4
    header["scl_slope"], header["scl_inter"] = 1, 0
    header["cal_min"], header["cal_max"] = 0, 1
    header["descrip"] = WRITTEN_BY + b" " + content
    header["intent_code"] = header["intent_p1"] = header["intent_p2"] = header["intent_p3"] = 0
    for name in ("intent_name", "aux_file", "db_name", "data_type"):  # free text of the source
        if name in header:
            header[name] = b""
    return header


def _fields(stream: IO[bytes], path: Path) -> "Nifti1Header":
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    block = stream.read(max(_HEADERS))
    orders: dict[str, Literal["little", "big"]] = {"<": "little", ">": "big"}
    for endianness, order in orders.items():
        size = int.from_bytes(block[:4], order)
        if size not in _HEADERS or len(block) < size:
            continue
        place, magic = _HEADERS[size]
        found = block[place : place + 4]
        if found in (b"ni1\0", b"ni2\0"):
            raise ImageError(f"{path}: one of a pair of files; convert it to a single .nii file")
        if found == magic:
            kind: Any = Nifti1Header if size == 348 else Nifti2Header
            header: Nifti1Header = kind(block[:size], endianness, check=False)
            return header
    raise ImageError(f"{path}: not a NIfTI file")


def _shape(fields: "Nifti1Header", path: Path) -> tuple[tuple[int, int, int], int]:
    """Return the three sides of a volume, and the number of volumes."""
    number = int(fields["dim"][0])
    sides = [int(side) for side in fields["dim"][1 : number + 1]]
    first, second, third, volumes, *others = (*sides, 1, 1, 1, 1)[: max(len(sides), 4)]
    most = runtime.data.images.MAX_PIXELS
    usable = 2 <= number <= 7 and all(1 <= side <= _MAX_AXIS for side in sides)
    if not usable or first * second * third // min(first, second, third) > most:
        raise ImageError(f"{path}: expected slices of 1 to {most} pixels, found a shape of {sides}")
    if any(side != 1 for side in others):
        raise ImageError(f"{path}: expected one value for each voxel, found a shape of {sides}")
    return (first, second, third), volumes


def _dtype(fields: "Nifti1Header", path: Path) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] = fields.get_data_dtype()
    except KeyError:
        dtype = np.dtype("V1")
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        code = int(fields["datatype"])
        raise ImageError(f"{path}: expected real numbers of up to 64 bits, found data type {code}")
    return dtype


def _offset(fields: "Nifti1Header", path: Path) -> int:
    offset = float(fields["vox_offset"])
    least = int(fields["sizeof_hdr"]) + 4
    if not (least <= offset <= MAX_BYTES and offset.is_integer()):
        raise ImageError(f"{path}: expected voxels from byte {least} on, found {offset:g}")
    return int(offset)


def _scaling(fields: "Nifti1Header", path: Path) -> tuple[float, float] | None:
    slope, intercept = float(fields["scl_slope"]), float(fields["scl_inter"])
    if slope == 0 or not np.isfinite(slope) or (slope, intercept) == (1.0, 0.0):
        return None
    if not np.isfinite(intercept):
        raise ImageError(f"{path}: expected a finite scl_inter, found {intercept}")
    return slope, intercept


def _affine(fields: "Nifti1Header", path: Path) -> tuple[NDArray[np.float64], bool]:
    from nibabel.spatialimages import HeaderDataError

    located = bool(fields["sform_code"] or fields["qform_code"])
    try:
        affine = np.array(fields.get_best_affine(), np.float64)
    except (HeaderDataError, ValueError) as error:
        raise ImageError(f"{path}: its orientation (qform) cannot be used: {error}") from error
    affine[:3] *= _MM.get(int(fields["xyzt_units"]) & 7, 1.0)
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not (np.isfinite(affine).all() and lengths.min() > 0):
        raise ImageError(f"{path}: expected voxels of a finite size, found {lengths.tolist()} mm")
    if abs(np.linalg.det(affine[:3, :3] / lengths)) < 1e-3:
        raise ImageError(f"{path}: expected an affine whose axes are not parallel")
    return affine, located
