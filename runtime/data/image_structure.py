"""Checks of an image file's structure before it is decoded.

Pillow bounds pixels and decompressed text. It leaves to its callers what else can take time or
memory out of proportion to the size of a file: the chunks of a PNG (`runtime.data.png_structure`),
the fields and tiles of a TIFF (`runtime.data.tiff_structure`), and the scans of a progressive JPEG,
each of which visits every block (https://www.w3.org/Graphics/JPEG/itu-t81.pdf, annex B).
"""

import re
from collections.abc import Iterator

from runtime.core.errors import ImageError
from runtime.data.png_structure import SIGNATURE, check_png
from runtime.data.tiff_structure import tiff_pages

MAX_SCANS = 100
"""Most scans of a JPEG; encoders write about ten, and libtiff has the same limit."""

_JPEG = b"\xff\xd8"
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_SCAN, _END = 0xDA, 0xD9


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
        if any(number >= MAX_SCANS for number, _ in enumerate(_scans(content))):
            raise ImageError(f"{name}: JPEG with more than {MAX_SCANS} scans")
    elif content.startswith(SIGNATURE):
        check_png(content, name)
    elif content[:2] in (b"II", b"MM"):
        tiff_pages(content, name)


def describe_unreadable(content: bytes) -> str:
    r"""Return a description of a file that no decoder accepts, for a message.

    Example:
        >>> describe_unreadable(b""), describe_unreadable(b"GIF89a")
        ('empty file', 'not a JPEG, PNG, BMP, TIFF or WebP image')
        >>> describe_unreadable(b"\xff\xd8...")
        'damaged JPEG'
    """
    for image_format, start in (("PNG", SIGNATURE), ("JPEG", _JPEG)):
        if content.startswith(start):
            return f"damaged {image_format}"
    return "not a JPEG, PNG, BMP, TIFF or WebP image" if content else "empty file"


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
