"""Checks of an image file's structure before it is decoded.

Pillow bounds pixels and decompressed text. It leaves to its callers what else can take time or
memory out of proportion to the size of a file:

- The scans of a progressive JPEG, each of which visits every block
  (https://www.w3.org/Graphics/JPEG/itu-t81.pdf, annex B).
- The chunks of a PNG, each of which becomes Python objects
  (https://www.w3.org/TR/png-3/#5DataRep).
- The fields of a TIFF, which become Python numbers, and its tiles, which may be larger than the
  image (https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf).

Pillow also accepts a PNG whose compressed data end properly but lack rows, and leaves those black.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from runtime.core.errors import ImageError

MAX_SCANS = 100
"""Most scans of a JPEG; encoders write about ten, and libtiff has the same limit."""
MAX_CHUNKS = 1 << 16
"""Most chunks of a PNG; the largest image has about half as many if they are small."""
MAX_TAGS = 1 << 12
"""Most fields of a TIFF; about twenty are usual."""
MAX_TAG_VALUES = 1 << 18
"""Most values in a field of a TIFF; 8192x8192 pixels in tiles of 16x16 need as many."""
MAX_TILE_PIXELS = 1 << 24
"""Largest tile of a TIFF, 4096x4096; 256x256 is usual."""
MAX_FILE_TAGS = 1 << 18
"""Most fields of all pages of a TIFF."""

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_HEADER, _DATA = b"IHDR", b"IDAT"
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
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_SCAN, _END = 0xDA, 0xD9
_BYTES = (1, 2, 7)
_SHORT, _LONG, _LONG8 = 3, 4, 16
_TILE_SIDES = (322, 323)
_SUBFILE_TYPE = 254
_SMALLER, _MASK = 1, 4
"""Bits of NewSubfileType: a page is a smaller version of another, or a transparency mask."""
_SIGNIFICANT_BITS = b"sBIT"


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a TIFF stores numbers: byte order, and formats of `struct`."""

    order: str
    count: str
    entry: str
    offset: str


def check_structure(content: bytes, name: str) -> None:
    r"""Raise ImageError if decoding the image would take too much time or memory.

    Args:
        content: the bytes of a JPEG, PNG or TIFF file; other formats pass.
        name: name of the image, for messages.

    Example:
        >>> check_structure(b"II*\0", "scan.tif")
        Traceback (most recent call last):
        runtime.core.errors.ImageError: scan.tif: damaged TIFF
    """
    if content.startswith(_JPEG):
        if _exceeds(_scans(content), MAX_SCANS):
            raise ImageError(f"{name}: JPEG with more than {MAX_SCANS} scans")
    elif content.startswith(_PNG):
        if _exceeds((place for place, _, _ in _chunks(content)), MAX_CHUNKS):
            raise ImageError(f"{name}: PNG with more than {MAX_CHUNKS} chunks")
        width, height, *_ = _header(content, name)
        if 0 in (width, height):
            raise ImageError(f"{name}: image without pixels ({width}x{height})")
    elif content[:2] in (b"II", b"MM"):
        tiff_pages(content, name)


def check_rows(content: bytes, name: str) -> None:
    """Raise ImageError if the data of a PNG end before its last row.

    The data are inflated for this, so the image's size must have been checked before. Pillow
    notices all other damage.

    Args:
        content: the bytes of an image file; formats other than PNG pass.
        name: name of the image, for messages.
    """
    if not content.startswith(_PNG):
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


def describe_unreadable(content: bytes) -> str:
    r"""Return a description of a file that no decoder accepts, for a message.

    Example:
        >>> describe_unreadable(b""), describe_unreadable(b"GIF89a")
        ('empty file', 'not a JPEG, PNG, BMP, TIFF or WebP image')
        >>> describe_unreadable(b"\xff\xd8...")
        'damaged JPEG'
    """
    for image_format, start in (("PNG", _PNG), ("JPEG", _JPEG)):
        if content.startswith(start):
            return f"damaged {image_format}"
    return "not a JPEG, PNG, BMP, TIFF or WebP image" if content else "empty file"


def _exceeds(parts: Iterator[int], limit: int) -> bool:
    return any(number >= limit for number, _ in enumerate(parts))


def _scans(content: bytes) -> Iterator[int]:
    """Yield the position of each scan of a JPEG."""
    position = len(_JPEG)
    while match := _MARKER.search(content, position):
        position = match.end()
        code = content[position - 1]
        if code == _END:
            return
        if code == _SCAN:
            yield position
        if code >= 0xC0 and code != 0xD8:  # a segment: its length follows the marker
            position += int.from_bytes(content[position : position + 2], "big")


def _chunks(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield the position and length of each PNG chunk's data, and the type of the chunk."""
    position = len(_PNG)
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


def tiff_pages(content: bytes, name: str) -> tuple[int, ...]:
    """Return which pages of a TIFF or BigTIFF are pictures of their own, from 0.

    Smaller versions of another page and transparency masks are not (TIFF 6.0, NewSubfileType).

    Raises:
        ImageError: a page exceeds a limit.
    """
    pages, number, seen = [], 0, set[int]()
    order, offset = _first_directory(content, name)
    fields = 0
    while offset and offset not in seen:
        seen.add(offset)
        try:
            kind, count, following = _check_directory(content, order, offset, name)
        except (struct.error, OverflowError) as fault:
            if number:  # decoders do not read past the page that they are asked for
                break
            raise ImageError(f"{name}: damaged TIFF") from fault
        fields += count
        if fields > MAX_FILE_TAGS:
            raise ImageError(f"{name}: TIFF with more than {MAX_FILE_TAGS} fields")
        if not kind & (_SMALLER | _MASK):
            pages.append(number)
        number, offset = number + 1, following
    return tuple(pages) or (0,)


def _first_directory(content: bytes, name: str) -> tuple[_Layout, int]:
    """Return how a TIFF stores its numbers, and the offset of its first directory."""
    order = "<" if content[:2] == b"II" else ">"
    try:
        (version,) = struct.unpack_from(order + "H", content, 2)
        if version not in (42, 43):
            raise ImageError(f"{name}: expected a TIFF of version 42 or 43, found {version}")
        layout = _Layout(order, *(("H", "HHI4s", "I") if version == 42 else ("Q", "HHQ8s", "Q")))
        (first,) = struct.unpack_from(order + layout.offset, content, 4 if version == 42 else 8)
    except struct.error as fault:
        raise ImageError(f"{name}: damaged TIFF") from fault
    return layout, first


def _check_directory(
    content: bytes, layout: _Layout, offset: int, name: str
) -> tuple[int, int, int]:
    """Return a directory's NewSubfileType, its number of fields, and the next one's offset.

    Raises:
        ImageError: it exceeds a limit.
        struct.error, OverflowError: it is damaged.
    """
    order = layout.order
    (number,) = struct.unpack_from(order + layout.count, content, offset)
    if number > MAX_TAGS:
        raise ImageError(f"{name}: expected a TIFF of up to {MAX_TAGS} fields, found {number}")
    place = offset + struct.calcsize(order + layout.count)
    pixels, subfile_type = 1, 0
    for _ in range(number):
        tag, kind, count, value = struct.unpack_from(order + layout.entry, content, place)
        if kind not in _BYTES and count > MAX_TAG_VALUES:
            raise ImageError(
                f"{name}: expected TIFF fields of up to {MAX_TAG_VALUES} values, found {count}"
            )
        if tag in _TILE_SIDES:
            pixels *= _side(order, kind, count, value)
        if tag == _SUBFILE_TYPE and kind == _LONG and count == 1:
            (subfile_type,) = struct.unpack_from(order + "I", value)
        place += struct.calcsize(order + layout.entry)
    if pixels > MAX_TILE_PIXELS:
        raise ImageError(f"{name}: TIFF with tiles of more than {MAX_TILE_PIXELS} pixels")
    following = content[place : place + struct.calcsize(order + layout.offset)]
    if len(following) < struct.calcsize(order + layout.offset):
        return subfile_type, number, 0
    return subfile_type, number, struct.unpack(order + layout.offset, following)[0]


def _side(order: str, kind: int, count: int, value: bytes) -> int:
    """Return the side of a tile; more than is allowed if it is not one number of a usual type."""
    code = {_SHORT: "H", _LONG: "I", _LONG8: "Q"}.get(kind)
    if count != 1 or code is None or struct.calcsize(code) > len(value):
        return MAX_TILE_PIXELS + 1
    return int(struct.unpack_from(order + code, value)[0])
