"""The one rule of orientation: an image is upright, as its EXIF tag says, in every format.

Viewers and labelling tools show images upright, so that annotations and people's expectations hold
for the upright image. Where a COCO file states a size that only the stored rows and columns have,
its annotations were made on those, and the image is taken as it is stored.
"""

import struct

from PIL import Image

Size = tuple[int, int]
"""(height, width) in pixels."""

_ORIENTATION = 0x0112
_UPRIGHT = 1
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BACK = _TURNS | {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
_EXCHANGED = (5, 6, 7, 8)
"""The values whose turn exchanges height and width."""

# Pillow raises these on damaged EXIF data; the last is a warning, where warnings are errors.
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error, UserWarning)


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation of an image, 1 to 8; 1 where it states none that can be read.

    Example:
        >>> orientation_of(Image.new("L", (2, 1)))
        1
    """
    try:
        value = image.getexif().get(_ORIENTATION, _UPRIGHT)
    except _DAMAGE:
        return _UPRIGHT  # a viewer would not turn the image either
    return value if value in _TURNS else _UPRIGHT


def applied_orientation(tag: int, stored: Size, stated: Size | None) -> int:
    """Return the orientation to apply: the tag's, or 1 for the image as it is stored.

    Args:
        tag: EXIF orientation, 1 to 8.
        stored: size of the stored image.
        stated: size that a COCO file states; None without one.

    Example:
        >>> applied_orientation(6, (64, 96), None), applied_orientation(6, (64, 96), (96, 64))
        (6, 6)
        >>> applied_orientation(6, (64, 96), (64, 96))
        1
    """
    if stated == stored != upright_size(tag, stored):
        return _UPRIGHT
    return tag


def upright_size(tag: int, stored: Size) -> Size:
    """Return the size of an image after its turn.

    Example:
        >>> upright_size(6, (64, 96)), upright_size(3, (64, 96))
        ((96, 64), (64, 96))
    """
    return (stored[1], stored[0]) if tag in _EXCHANGED else stored


def turn(image: Image.Image, tag: int) -> Image.Image:
    """Return a stored image turned as an orientation says."""
    return image.transpose(_TURNS[tag]) if tag in _TURNS else image


def turn_back(image: Image.Image, tag: int) -> Image.Image:
    """Return the stored image of one that was turned."""
    return image.transpose(_BACK[tag]) if tag in _BACK else image
