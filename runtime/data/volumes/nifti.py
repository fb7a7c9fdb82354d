"""NIfTI files: volumes of slices, and results on a file's own grid.

The voxels are mapped and not loaded; those of a compressed file are first unpacked into an unnamed
temporary file. So the memory does not grow with the number of slices.
"""

import gzip
import mmap
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from runtime.core.errors import ImageError
from runtime.core.extras import require
from runtime.core.files import found_instead, replacing
from runtime.core.progress import ProgressCallback, report_progress
from runtime.data.volumes.mapped import release_pages
from runtime.data.volumes.nifti_header import WRITTEN_BY, NiftiHeader, read_header, result_header
from runtime.data.volumes.planes import SliceOrder, slice_order, spacing_of
from runtime.data.volumes.spec import Plane
from runtime.data.volumes.volume import Volume

SUFFIXES = (".nii.gz", ".nii")
_MAX_TRAILING = 1 << 20
"""Most bytes after the voxels of a compressed file."""
_CHUNK = 1 << 20
_GZIP = 31
"""zlib's number of gzip. Only runs are shortened: others of probabilities hardly ever repeat."""


@dataclass(frozen=True, slots=True)
class _Origin:
    """The header of a volume's file, and how slices were taken from its array."""

    header: NiftiHeader
    order: SliceOrder


def is_nifti(path: Path) -> bool:
    """Return whether a file's name is that of a NIfTI file.

    Example:
        >>> is_nifti(Path("head.NII.GZ")), is_nifti(Path("head.img"))
        (True, False)
    """
    return path.name.lower().endswith(SUFFIXES)


def nifti_name(path: Path) -> str:
    """Return the name of a NIfTI file without its endings.

    Example:
        >>> nifti_name(Path("scans/head.v2.nii.gz"))
        'head.v2'
    """
    ending = next(ending for ending in SUFFIXES if path.name.lower().endswith(ending))
    return path.name[: -len(ending)]


def is_nifti_result(path: Path) -> bool:
    """Return whether a NIfTI file was written by `write_nifti`; False where it cannot be read."""
    try:
        with _opened(path) as stream:
            return WRITTEN_BY in stream.read(540)
    except ImageError:
        return False


def read_nifti(path: Path, plane: Plane, number: int | None = None) -> Volume:
    """Return the volume in a NIfTI file (.nii or .nii.gz), in slices of a plane.

    The values are those of the file's scaling (`scl_slope`, `scl_inter`). The affine is the file's
    sform, or else its qform.

    Args:
        number: of a file of several volumes (four dimensions), from 1.

    Raises:
        MissingExtraError: nibabel is not installed.
        ImageError: the file cannot be read, is damaged or too large, or has several volumes and
            `number` is None.
    """
    require("nifti", "nibabel")
    with _opened(path) as stream:
        header = read_header(stream, path)
        index = _volume_index(header.volumes, number, path)
        mapped = _map(stream, path, header.end)
    offset = header.offset + index * header.volume_bytes
    stored: NDArray[Any] = np.ndarray(header.shape, header.dtype, mapped, offset, order="F")
    order = slice_order(header.affine, plane)
    slices = order.slices(stored)
    shape = (slices.shape[0], slices.shape[1], slices.shape[2])
    affine = order.affine(header.affine, shape)
    return Volume(
        nifti_name(path) + (f"_{index + 1}" if header.volumes > 1 else ""),
        path,
        shape,
        _SliceReader(slices, header.scaling),
        spacing=spacing_of(affine),
        affine=affine if header.located else None,
        origin=_Origin(header, order),
    )


class _SliceReader:
    """Reads slice i of a mapped array [slices, rows, columns], scaled, as float32."""

    def __init__(self, slices: NDArray[Any], scaling: tuple[float, float] | None) -> None:
        self._slices = slices
        self._scaling = scaling

    def __call__(self, index: int) -> NDArray[np.float32]:
        raw = self._slices[index]
        with np.errstate(over="ignore", invalid="ignore"):  # float64 beyond float32 is infinite
            if self._scaling is not None:
                slope, intercept = self._scaling
                raw = raw.astype(np.float64) * slope + intercept
            values: NDArray[np.float32] = raw.astype(np.float32)
        release_pages(self._slices)
        return values


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, compressed or not. Raises ImageError, also for errors while it is read."""
    if (found := found_instead(path)) is not None:
        raise ImageError(f"{path}: expected a NIfTI file, found {found}")
    try:
        with path.open("rb") as file, ExitStack() as files:
            compressed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            stream: Any = file
            if compressed:
                stream = files.enter_context(gzip.GzipFile(fileobj=file, mode="rb"))
            yield stream
    except EOFError as error:
        raise ImageError(f"{path}: truncated, the compressed data end too early") from error
    except (OSError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageError(f"{path}: cannot be read: {reason.lower()}") from error


def _volume_index(volumes: int, number: int | None, path: Path) -> int:
    if number is None and volumes > 1:
        raise ImageError(
            f"{path}: a file of {volumes} volumes, of which only one can be used; choose it with "
            "--volume of seg-predict"
        )
    if number is not None and not 1 <= number <= volumes:
        raise ImageError(f"{path}: no volume {number}, the volumes are 1 to {volumes}")
    return (number or 1) - 1


def _map(stream: IO[bytes], path: Path, size: int) -> mmap.mmap:
    """Map the first `size` bytes of a file; what is compressed is unpacked to a temporary one."""
    if not isinstance(stream, gzip.GzipFile):
        found = path.stat().st_size
        if found < size:
            raise _truncated(path, size, found)
        return mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_READ)
    with tempfile.TemporaryFile() as unpacked:
        stream.seek(0)
        missing = size
        while missing and (chunk := stream.read(min(missing, _CHUNK))):
            unpacked.write(chunk)
            missing -= len(chunk)
        if missing:
            raise _truncated(path, size, size - missing)
        # The checksum stands at the end of the compressed data.
        if len(stream.read(_MAX_TRAILING + 1)) > _MAX_TRAILING:
            raise ImageError(f"{path}: the file continues after the voxels that its header states")
        unpacked.flush()
        return mmap.mmap(unpacked.fileno(), size, access=mmap.ACCESS_READ)


def _truncated(path: Path, expected: int, found: int) -> ImageError:
    return ImageError(f"{path}: truncated, expected {expected} bytes, found {found}")


def write_nifti(
    volume: Volume,
    probability: NDArray[np.float32],
    threshold: float | None,
    base: Path,
    on_progress: ProgressCallback | None = None,
) -> tuple[Path, ...]:
    """Write results of a volume of `read_nifti` on the grid of its file, with its header.

    Args:
        probability: float32 [slices, rows, columns] in [0, 1].
        threshold: also write the mask of the voxels with at least this probability, uint8.
        base: of the results BASE.probability.nii and BASE.mask.nii, which are compressed (.gz) if
            the volume's file has this ending.
        on_progress: called after each layer of the file that is written, in the phase "write".

    Returns:
        The written files.

    Raises:
        OutputError: a file cannot be written.
    """
    origin = volume.origin
    assert isinstance(origin, _Origin)
    ending = ".nii.gz" if volume.source.name.lower().endswith(".gz") else ".nii"
    stored = origin.order.stored(probability)
    written = [base.with_name(f"{base.name}.probability{ending}")]
    _write(written[0], origin.header, stored, None, on_progress)
    if threshold is not None:
        written.append(base.with_name(f"{base.name}.mask{ending}"))
        _write(written[1], origin.header, stored, threshold, on_progress)
    return tuple(written)


def _write(
    path: Path,
    source: NiftiHeader,
    stored: NDArray[np.float32],
    threshold: float | None,
    on_progress: ProgressCallback | None,
) -> None:
    dtype = np.dtype(np.float32 if threshold is None else np.uint8)
    content = b"probability" if threshold is None else b"mask"
    header = result_header(source.fields, stored.shape, dtype, content)
    with replacing(path) as temporary, temporary.open("wb") as file:
        # Without a name and a time in it, equal results are equal files.
        packed = zlib.compressobj(1, zlib.DEFLATED, _GZIP, strategy=zlib.Z_RLE)
        compress = packed.compress if path.name.endswith(".gz") else bytes
        file.write(compress(header.binaryblock + bytes(4)))
        for index in range(stored.shape[2]):  # the slowest axis, so that memory stays small
            layer: NDArray[Any] = stored[:, :, index]
            if threshold is not None:
                layer = layer >= threshold
            file.write(compress(layer.astype(header.get_data_dtype()).tobytes(order="F")))
            release_pages(stored)
            report_progress(on_progress, "write", index + 1, stored.shape[2])
        if path.name.endswith(".gz"):
            file.write(packed.flush())
