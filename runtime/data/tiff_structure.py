"""The structure of a TIFF or BigTIFF: its pages, and their fields.

The fields become Python numbers in a decoder, and tiles may be larger than the image
(https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf). Neither is bounded by Pillow.
"""

import struct
from dataclasses import dataclass

from runtime.core.errors import ImageError

MAX_TAGS = 1 << 12
"""Most fields of a TIFF; about twenty are usual."""
MAX_TAG_VALUES = 1 << 18
"""Most values in a field of a TIFF; 8192x8192 pixels in tiles of 16x16 need as many."""
MAX_TILE_PIXELS = 1 << 24
"""Largest tile of a TIFF, 4096x4096; 256x256 is usual."""
MAX_FILE_TAGS = 1 << 18
"""Most fields of all pages of a TIFF."""

_BYTES = (1, 2, 7)
_SHORT, _LONG, _LONG8 = 3, 4, 16
_TILE_SIDES = (322, 323)
_SUBFILE_TYPE = 254
_SMALLER, _MASK = 1, 4
"""Bits of NewSubfileType: a page is a smaller version of another, or a transparency mask."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a TIFF stores numbers: byte order, and formats of `struct`."""

    order: str
    count: str
    entry: str
    offset: str


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
