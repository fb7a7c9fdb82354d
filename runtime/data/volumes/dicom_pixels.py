"""The stored pixels of a DICOM image."""

import struct
from typing import Any, BinaryIO

from numpy.typing import NDArray

from runtime.core.errors import ImageError
from runtime.data.volumes.dicom_files import opened, read_header
from runtime.data.volumes.dicom_images import DicomImage

_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""Of JPEG and JPEG-LS: segments that state the size."""


def decode(image: DicomImage) -> NDArray[Any]:
    """Return the stored pixels of an image, integers [rows, columns].

    Raises:
        ImageError: the pixels are damaged, truncated, or not of the stated number.
    """
    from pydicom.pixels.utils import pixel_array

    with opened(image.path) as file:
        if image.compressed:
            _check_encoded(file, image)
            file.seek(0)
        stored: NDArray[Any] = pixel_array(file, index=image.frame)
        if stored.shape != image.size:
            raise ImageError(f"{image.path}: damaged pixel data")
        return stored.astype(stored.dtype.newbyteorder("="), copy=False)


def _check_encoded(file: BinaryIO, image: DicomImage) -> None:
    """Raise ImageError if a compressed image has another size than the header states.

    Decoders believe the compressed data, and would allocate what these ask for.
    """
    from pydicom.encaps import get_frame

    frames = int(read_header(file, image.path, ("NumberOfFrames",)).get("NumberOfFrames") or 1)
    file.seek(12, 1)  # tag, VR and length
    size = encoded_size(get_frame(file, image.frame, number_of_frames=frames))
    if size is not None and size != image.size:
        raise ImageError(
            f"{image.path}: {image.size[1]}x{image.size[0]} pixels, but its compressed data have "
            f"{size[1]}x{size[0]}"
        )


def encoded_size(data: bytes) -> tuple[int, int] | None:
    """Return rows and columns of a JPEG, JPEG-LS or JPEG 2000 codestream; None for other data.

    Example:
        >>> encoded_size(bytes.fromhex("ffd8 fff7 000b 08 0020 0010 01 01 11 00"))
        (32, 16)
        >>> encoded_size(b"RLE") is None
        True
    """
    if data[:4] == b"\xff\x4f\xff\x51":
        width, height, left, top = struct.unpack_from(">4I", data, 8)
        return height - top, width - left
    place = 2 if data[:2] == b"\xff\xd8" else len(data)
    while place + 9 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4])
        if marker == 0xFF:  # a fill byte
            place += 1
        elif marker in _FRAME_MARKERS:
            rows, columns = struct.unpack_from(">HH", data, place + 5)
            return rows, columns
        else:
            place += 2 + length
    return None
