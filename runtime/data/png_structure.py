"""The structure of a PNG: its chunks, its header and the rows of its pixels.

A PNG's chunks become Python objects in a decoder (https://www.w3.org/TR/png-3/#5DataRep), so that
many small ones take time and memory. Pillow also accepts a PNG whose compressed data end properly
but lack rows, and leaves those black.
"""

import struct
import zlib
from collections.abc import Iterator

from runtime.core.errors import ImageError

MAX_CHUNKS = 1 << 16
"""Most chunks of a PNG; the largest image has about half as many if they are small."""

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER, _DATA, _SIGNIFICANT_BITS = b"IHDR", b"IDAT", b"sBIT"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Channels by color type of a PNG."""
_WHOLE = ((0, 0, 1, 1),)
_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
"""The passes of an interlaced PNG: first column, first row, column step, row step
(https://www.w3.org/TR/png-3/#8InterlaceMethods)."""
_PIECE_BYTES = 1 << 13
"""Compressed bytes that are inflated at once, to at most a thousand times as many."""


def check_png(content: bytes, name: str) -> None:
    """Raise ImageError if a PNG has too many chunks, a damaged header, or no pixels."""
    if any(number >= MAX_CHUNKS for number, _ in enumerate(_chunks(content))):
        raise ImageError(f"{name}: PNG with more than {MAX_CHUNKS} chunks")
    width, height, *_ = _header(content, name)
    if 0 in (width, height):
        raise ImageError(f"{name}: image without pixels ({width}x{height})")


def check_rows(content: bytes, name: str) -> None:
    """Raise ImageError if the data of a PNG end before its last row.

    The data are inflated for this, so the image's size must have been checked before. Pillow
    notices all other damage.

    Args:
        content: the bytes of an image file; formats other than PNG pass.
        name: name of the image, for messages.
    """
    if not content.startswith(SIGNATURE):
        return
    needed = _row_bytes(*_header(content, name))
    inflater, size = zlib.decompressobj(), 0
    try:
        for piece in _data(content):
            size += len(inflater.decompress(piece))
            if size >= needed:
                return
            if inflater.eof:
                break
    except zlib.error:
        return
    raise ImageError(f"{name}: incomplete image, with {size} of {needed} bytes of pixel data")


def significant_bits(content: bytes) -> int:
    """Return the significant bits of a PNG's first channel (chunk sBIT); 0 if it states none."""
    for place, length, kind in _chunks(content):
        if kind == _SIGNIFICANT_BITS and length:
            return content[place]
        if kind == _DATA:
            break
    return 0


def png_bits(content: bytes, name: str) -> int:
    """Return the bits per channel of a PNG."""
    return _header(content, name)[2]


def _chunks(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield the position and length of each PNG chunk's data, and the type of the chunk."""
    position = len(SIGNATURE)
    while position + 12 <= len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        kind = content[position + 4 : position + 8]
        yield position + 8, length, kind
        if kind == b"IEND":
            return
        position += 12 + length


def _header(content: bytes, name: str) -> tuple[int, int, int, int, bool]:
    """Return width, height, bits per channel, color type, and whether the PNG is interlaced.

    Raises:
        ImageError: there is not exactly one header.
    """
    places = [place for place, length, kind in _chunks(content) if kind == _HEADER and length >= 13]
    if len(places) != 1 or places[0] + 13 > len(content):
        raise ImageError(f"{name}: damaged PNG, without exactly one header")
    width, height, bits, color, interlaced = struct.unpack_from(">IIBB2xB", content, places[0])
    return width, height, bits, color, bool(interlaced)


def _row_bytes(width: int, height: int, bits: int, color: int, interlaced: bool) -> int:
    """Return the number of bytes of all rows of a PNG, each with its filter byte."""
    total = 0
    for first_column, first_row, across, down in _ADAM7 if interlaced else _WHOLE:
        columns = -((first_column - width) // across)
        rows = -((first_row - height) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 - -columns * bits * _CHANNELS.get(color, 0) // 8)
    return total


def _data(content: bytes) -> Iterator[memoryview]:
    """Yield the compressed rows of a PNG in pieces."""
    view = memoryview(content)
    for place, length, kind in _chunks(content):
        if kind == _DATA:
            for start in range(place, min(place + length, len(content)), _PIECE_BYTES):
                yield view[start : min(start + _PIECE_BYTES, place + length)]
