"""Conversion of a decoded image of any mode to 8-bit RGB or gray."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.core.errors import ImageError
from runtime.data.frames import bits_per_channel
from runtime.data.levels import MAX_LEVEL, LevelRange, check_color_range, to_8_bits

_TRANSPARENT = ("RGBA", "LA", "PA", "La", "RGBa")


def to_8_bit_image(
    image: Image.Image,
    content: bytes | None,
    name: str,
    stated: LevelRange,
    intensity: int | None,
) -> Image.Image:
    """Return a loaded image in mode RGB or L."""
    if image.mode == "F":
        raise ImageError(f"{name}: expected 8 or 16 bits per channel, found floating point")
    if image.mode.startswith("I"):
        levels = _levels(image, name)
        return Image.fromarray(to_8_bits(levels, name, intensity=intensity, stated=stated))
    if content is not None and bits_per_channel(image, content, name) == 16:
        check_color_range(image, name, intensity)
    return to_rgb_or_gray(image)


def to_rgb_or_gray(image: Image.Image) -> Image.Image:
    """Return an 8-bit image in mode RGB or L, composed over black where it is transparent.

    Example:
        >>> to_rgb_or_gray(Image.new("RGBA", (1, 1), (200, 100, 0, 0))).getpixel((0, 0))
        (0, 0, 0)
    """
    if image.mode == "La":  # premultiplied alpha, which Pillow converts to nothing but LA
        image = image.convert("LA")
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, image.convert("RGBA")).convert("RGB")
    return image if image.mode in ("RGB", "L") else image.convert("RGB")


def _levels(image: Image.Image, name: str) -> NDArray[np.uint16]:
    """Return the levels of a 16-bit image, with its transparent level as black."""
    levels = np.asarray(image)
    if levels.min() < 0 or levels.max() > MAX_LEVEL:
        raise ImageError(f"{name}: levels outside the range of 16 bits, 0 to 65535")
    transparent = image.info.get("transparency")
    return np.where(levels == transparent, 0, levels).astype(np.uint16)
