"""Conversion of a decoded image of any mode to 8-bit RGB or gray."""

import warnings
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.core.errors import DataWarning, ImageError
from runtime.data.deep_color import scale_colors
from runtime.data.frames import bits_per_channel
from runtime.data.levels import MAX_LEVEL, LevelRange, to_8_bits

_TRANSPARENT = ("RGBA", "LA", "PA", "La", "RGBa")
_EIGHTH = 8


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
        image = scale_colors(image, content, name, intensity)
    return to_rgb_or_gray(image, name)


def to_rgb_or_gray(image: Image.Image, name: str) -> Image.Image:
    """Return an 8-bit image in mode RGB or L, composed over black where it is transparent.

    Some programs write a picture that is transparent everywhere. Where composing leaves less than
    an eighth of the colors' range, the colors alone are used.

    Warns:
        DataWarning: the colors are used without their transparency, or they are all black and only
            the transparency has a picture, which is lost.

    Example:
        >>> to_rgb_or_gray(Image.new("RGBA", (1, 1), (200, 100, 0, 51)), "scan").getpixel((0, 0))
        (40, 20, 0)
    """
    if image.mode == "La":  # premultiplied alpha, which Pillow converts to nothing but LA
        image = image.convert("LA")
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        return _opaque(image.convert("RGBA"), name)
    return image if image.mode in ("RGB", "L") else image.convert("RGB")


def _opaque(image: Image.Image, name: str) -> Image.Image:
    """Return an image of mode RGBA as RGB."""
    colors = image.convert("RGB")
    *ranges, alpha = _ranges(image)
    if alpha[0] == 255:
        return colors
    black = Image.new("RGBA", image.size, (0, 0, 0, 255))
    composed = Image.alpha_composite(black, image).convert("RGB")
    brightest = max(high for _, high in ranges)
    if all(low == high for low, high in ranges):  # a picture in the transparency alone, or in none
        if brightest == 0 and alpha[0] < alpha[1]:
            _warn(f"{name}: black, because only its transparency has a picture")
    elif _EIGHTH * max(high for _, high in _ranges(composed)) < brightest:
        _warn(f"{name}: transparent nearly everywhere; its colors are used as if it were opaque")
        return colors
    return composed


def _ranges(image: Image.Image) -> list[tuple[int, int]]:
    """Return the lowest and the highest level of each channel."""
    return list(cast("tuple[tuple[int, int], ...]", image.getextrema()))


def _warn(text: str) -> None:
    warnings.warn(text, DataWarning, stacklevel=2)


def _levels(image: Image.Image, name: str) -> NDArray[np.uint16]:
    """Return the levels of a 16-bit image, with its transparent level as black."""
    levels = np.asarray(image)
    if levels.min() < 0 or levels.max() > MAX_LEVEL:
        raise ImageError(f"{name}: levels outside the range of 16 bits, 0 to 65535")
    transparent = image.info.get("transparency")
    return np.where(levels == transparent, 0, levels).astype(np.uint16)
