"""What an image file's structure may ask for, and lack, checked before it is decoded.

Pillow bounds pixels and decompressed text. Three things that take time or memory out of proportion
to a file's size are left to its caller: the scans of a progressive JPEG, each of which goes over
every block (https://www.w3.org/Graphics/JPEG/itu-t81.pdf, annex B); the chunks of a PNG, each of
which becomes objects (https://www.w3.org/TR/png-3/#5DataRep); and in a TIFF the arrays of its
fields, unpacked to Python's numbers, and its tiles, which may be larger than the image
(https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf).

And one thing that Pillow lets pass: rows that are missing from a PNG whose compressed data end as
they should. It leaves them black.
"""

import re
import struct
import zlib
from collections.abc import Iterator

from runtime.core.errors import ImageError

MAX_SCANS = 100
"""Of a JPEG; encoders write about ten, and libtiff allows as many."""
MAX_CHUNKS = 1 << 16
"""Of a PNG; the largest image that is read has about half as many where they are small."""
MAX_TAGS = 1 << 12
"""In the directory of a TIFF; usual are about twenty."""
MAX_TAG_VALUES = 1 << 18
"""In a field of a TIFF: 8192x8192 pixels in tiles of 16x16 have as many."""
MAX_TILE_PIXELS = 1 << 24
"""Of a TIFF, 4096x4096; usual are 256x256."""

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_HEADER, _DATA = b"IHDR", b"IDAT"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Of a PNG's color types."""
_WHOLE = ((0, 0, 1, 1),)
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
          (0, 1, 1, 2))  # fmt: skip
"""The passes of a PNG: first column and row, and the steps to the next
(https://www.w3.org/TR/png-3/#8InterlaceMethods)."""
_PIECE_BYTES = 1 << 13
"""That are inflated at once, to a thousand times as many at most."""
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_SCAN, _END = 0xDA, 0xD9
_BYTES = (1, 2, 7)
_SHORT, _LONG, _LONG8 = 3, 4, 16
_TILE_SIDES = (322, 323)


def check_structure(content: bytes, name: str) -> None:
    """Raise ImageError where an encoded image's structure asks for too much."""
    if content.startswith(_JPEG):
        if _exceeds(_scans(content), MAX_SCANS):
            raise ImageError(f"{name}: expected a JPEG of up to {MAX_SCANS} scans, found more")
    elif content.startswith(_PNG):
        if _exceeds((place for place, _, _ in _chunks(content)), MAX_CHUNKS):
            raise ImageError(f"{name}: expected a PNG of up to {MAX_CHUNKS} chunks, found more")
        width, height, *_ = _header(content, name)
        if 0 in (width, height):
            raise ImageError(f"{name}: expected 1 or more pixels a side, found {width}x{height}")
    elif content[:2] in (b"II", b"MM"):
        _check_tiff(content, name)


def check_rows(content: bytes, name: str) -> None:
    """Raise ImageError where a PNG's data end before its last row.

    It inflates them, so an image's pixels have to be bounded before. Data that are damaged in
    other ways are left to Pillow, which notices.
    """
    if not content.startswith(_PNG):
        return
    needed = _row_bytes(*_header(content, name))
    inflating, found = zlib.decompressobj(), 0
    try:
        for piece in _data(content):
            found += len(inflating.decompress(piece))
            if found >= needed:
                return
            if inflating.eof:
                break
    except zlib.error:
        return
    raise ImageError(
        f"{name}: expected a complete image, found {found} bytes of rows where {needed} make it up"
    )


def unidentified(content: bytes) -> str:
    """Return what a file that no decoder takes seems to be, for a message."""
    for form, start in (("PNG", _PNG), ("JPEG", _JPEG)):
        if content.startswith(start):
            return f"a damaged {form}"
    return "something else" if content else "an empty file"


def _exceeds(parts: Iterator[int], limit: int) -> bool:
    return any(number >= limit for number, _ in enumerate(parts))


def _scans(content: bytes) -> Iterator[int]:
    """Yield where each scan of a JPEG begins."""
    position = len(_JPEG)
    while match := _MARKER.search(content, position):
        position = match.end()
        code = content[position - 1]
        if code == _END:
            return
        if code == _SCAN:
            yield position
        if code >= 0xC0 and code != 0xD8:  # a segment: its length is behind the marker
            position += int.from_bytes(content[position : position + 2], "big")


def _chunks(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield where the data of each chunk of a PNG begin, their length, and the chunk's type."""
    position = len(_PNG)
    while position + 12 <= len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        kind = content[position + 4 : position + 8]
        yield position + 8, length, kind
        if kind == b"IEND":
            return
        position += 12 + length


def _header(content: bytes, name: str) -> tuple[int, int, int, int, bool]:
    """Return a PNG's width, height, bits a channel, color type, and whether it is interlaced.

    Raises:
        ImageError: there is not one header, as there has to be.
    """
    found = [place for place, length, kind in _chunks(content) if kind == _HEADER and length >= 13]
    if len(found) != 1 or found[0] + 13 > len(content):
        raise ImageError(f"{name}: expected a PNG with one header, found a damaged one")
    width, height, bits, color, interlaced = struct.unpack_from(">IIBB2xB", content, found[0])
    return width, height, bits, color, bool(interlaced)


def _row_bytes(width: int, height: int, bits: int, color: int, interlaced: bool) -> int:
    """Return how many bytes a PNG's rows take, each with the byte of its filter."""
    total = 0
    for first_column, first_row, across, down in _ADAM7 if interlaced else _WHOLE:
        columns = -((first_column - width) // across)
        rows = -((first_row - height) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 - -columns * bits * _CHANNELS.get(color, 0) // 8)
    return total


def _data(content: bytes) -> Iterator[memoryview]:
    """Yield a PNG's compressed rows in pieces."""
    view = memoryview(content)
    for place, length, kind in _chunks(content):
        if kind == _DATA:
            for start in range(place, min(place + length, len(content)), _PIECE_BYTES):
                yield view[start : min(start + _PIECE_BYTES, place + length)]


def _check_tiff(content: bytes, name: str) -> None:
    """Raise ImageError for what the first directory of a TIFF, or a BigTIFF, asks for."""
    order = "<" if content[:2] == b"II" else ">"
    try:
        (version,) = struct.unpack_from(order + "H", content, 2)
        if version == 42:
            head, entry, start, width = "H", "HHI4s", 4, "I"
        elif version == 43:
            head, entry, start, width = "Q", "HHQ8s", 8, "Q"
        else:
            raise ImageError(f"{name}: expected a TIFF of version 42 or 43, found {version}")
        (first,) = struct.unpack_from(order + width, content, start)
        (number,) = struct.unpack_from(order + head, content, first)
        if number > MAX_TAGS:
            raise ImageError(f"{name}: expected a TIFF of up to {MAX_TAGS} fields, found {number}")
        first += struct.calcsize(order + head)
        pixels = 1
        for index in range(number):
            place = first + index * struct.calcsize(order + entry)
            tag, kind, count, value = struct.unpack_from(order + entry, content, place)
            if kind not in _BYTES and count > MAX_TAG_VALUES:
                raise ImageError(
                    f"{name}: expected TIFF fields of up to {MAX_TAG_VALUES} values, found {count}"
                )
            if tag in _TILE_SIDES:
                pixels *= _side(order, kind, count, value)
    except (struct.error, OverflowError) as fault:
        raise ImageError(f"{name}: expected a complete TIFF, found a damaged one") from fault
    if pixels > MAX_TILE_PIXELS:
        raise ImageError(f"{name}: expected tiles of up to {MAX_TILE_PIXELS} pixels, found larger")


def _side(order: str, kind: int, count: int, value: bytes) -> int:
    """Return the side of a tile; where it is not one number of a usual type, one too many."""
    form = {_SHORT: "H", _LONG: "I", _LONG8: "Q"}.get(kind)
    if count != 1 or form is None or struct.calcsize(form) > len(value):
        return MAX_TILE_PIXELS + 1
    return int(struct.unpack_from(order + form, value)[0])
