"""Color images of 16 bits with a white level.

Pillow has no mode for them: its decoders keep the upper byte of each level. Where the level that is
white is given, the lower bytes matter too. Decoded as if its bytes had the other order, the same
file gives those.
"""

import io
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.core.errors import ImageError
from runtime.data.levels import MAX_LEVEL, to_8_bits, warn_of_small_range

_EIGHTH = 8
_NATIVE = "16L" if sys.byteorder == "little" else "16B"
_OTHER_ORDER = {"16L": "16B", "16B": "16L"}


def scale_colors(
    image: Image.Image, content: bytes, name: str, intensity: int | None
) -> Image.Image:
    """Return a decoded color image of 16 bits, scaled to the level that is white.

    Args:
        image: decoded from `content`; its pixels are the upper bytes.
        content: the bytes of its file.
        intensity: the level that becomes 255; None for 65535, of which the upper byte is used.

    Raises:
        ImageError: an intensity is given, and the lower bytes cannot be decoded.

    Warns:
        DataWarning: no intensity is given, and the colors use less than an eighth of the range.
    """
    colors = [band for band in image.getbands() if band != "A"]
    scaled = intensity is not None and intensity != MAX_LEVEL
    dark = max(int(_pixels(image, band).max(initial=0)) for band in colors) * _EIGHTH < 255
    if not scaled and not dark:
        return image
    lower = _lower_bytes(image, content)
    if lower is None:
        if not scaled:
            return image
        raise ImageError(
            f"{name}: the lower bytes of these 16-bit colors, which an intensity needs, cannot be "
            "decoded; store the image with 8 bits per channel"
        )
    levels = {band: _pixels(image, band) * np.uint16(256) + _pixels(lower, band) for band in colors}
    if not scaled:
        warn_of_small_range(name, max(int(v.max(initial=0)) for v in levels.values()), MAX_LEVEL)
        return image
    channels = [
        Image.fromarray(to_8_bits(levels[band], name, intensity=intensity))
        if band in levels
        else image.getchannel(band)
        for band in image.getbands()
    ]
    return Image.merge(image.mode, channels)


def _pixels(image: Image.Image, band: str) -> NDArray[np.uint16]:
    return np.asarray(image.getchannel(band)).astype(np.uint16)


def _lower_bytes(image: Image.Image, content: bytes) -> Image.Image | None:
    """Decode the lower bytes; None where Pillow has no decoder for them, as for gray with alpha."""
    lower = Image.open(io.BytesIO(content), formats=[image.format or ""])
    try:
        lower.seek(image.tell())
        lower.tile = [tile._replace(args=_in_other_order(tile.args)) for tile in lower.tile]
        lower.load()
    except (OSError, ValueError, KeyError, SyntaxError, TypeError):
        return None
    return lower


def _in_other_order(args: Any) -> Any:
    """Return a tile's arguments, which are or begin with a mode such as "RGB;16B"."""
    if isinstance(args, tuple):
        return (_in_other_order(args[0]), *args[1:])
    colors, _, order = str(args).replace("16N", _NATIVE).partition(";")
    return f"{colors};{_OTHER_ORDER[order]}"
