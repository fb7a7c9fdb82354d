"""Levels of 16-bit images as 8-bit ones: which level is white, and which end of the range.

A scanner's 12 bits are often stored in 16. Divided by 65535 such an image is nearly black, and a
network finds nothing in it. The white level is what the caller gives (`intensity`), else what the
file states, else 65535; an image that then uses less than an eighth of the range is warned about.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.core.errors import ConfigError, DataWarning
from runtime.data.png_structure import significant_bits

MAX_LEVEL = 0xFFFF
_EIGHTH = 8
_BITS_PER_SAMPLE, _PHOTOMETRIC, _S_MAX_SAMPLE_VALUE = 258, 262, 341
_WHITE_IS_ZERO = 0


@dataclass(frozen=True, slots=True)
class LevelRange:
    """The range of an image's levels.

    Attributes:
        white: the level that becomes 255; higher ones do too.
        inverted: true where 0 is white and `white` is black.
        bits: significant bits that a PNG states; 0 where it states none. They give the white level
            only where the levels are not scaled to 16 bits, as the PNG specification wants them.
    """

    white: int = MAX_LEVEL
    inverted: bool = False
    bits: int = 0


def check_intensity(intensity: int | None) -> None:
    """Raise ConfigError if the white level is not in 1 to 65535.

    Example:
        >>> check_intensity(0)
        Traceback (most recent call last):
        runtime.core.errors.ConfigError: intensity: expected a level from 1 to 65535, found 0
    """
    if intensity is not None and not 1 <= intensity <= MAX_LEVEL:
        raise ConfigError(f"intensity: expected a level from 1 to {MAX_LEVEL}, found {intensity}")


def stated_range(image: Image.Image, content: bytes | None) -> LevelRange:
    """Return the range that a file states for its levels.

    For a TIFF it is SMaxSampleValue, or else what BitsPerSample allows, and
    PhotometricInterpretation. For a PNG it is the chunk sBIT. MaxSampleValue is not used: TIFF 6.0
    says that it must not affect how an image looks.

    Args:
        image: opened, not necessarily decoded.
        content: the bytes of its file; None for an image that is not from a file.
    """
    if image.format == "PNG" and content is not None:
        return LevelRange(bits=significant_bits(content))
    if image.format != "TIFF":
        return LevelRange()
    tags: Any = getattr(image, "tag_v2", {})
    stated, bits = _number(tags.get(_S_MAX_SAMPLE_VALUE)), _number(tags.get(_BITS_PER_SAMPLE))
    if not 1 <= stated <= MAX_LEVEL:
        stated = (1 << bits) - 1 if 8 < bits < 16 else MAX_LEVEL
    return LevelRange(stated, inverted=tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO)


def _number(value: object) -> int:
    """Return the integer that a TIFF's field holds, the first of several; 0 where it holds none."""
    first = value[0] if isinstance(value, tuple) and value else value
    return int(first) if isinstance(first, int | float) and first == first else 0


def to_8_bits(
    levels: NDArray[np.uint16],
    name: str,
    *,
    intensity: int | None = None,
    stated: LevelRange | None = None,
) -> NDArray[np.uint8]:
    """Return 16-bit levels as 8-bit ones, rounded.

    Args:
        levels: uint16, of any shape.
        name: of the image, for the warning.
        intensity: the level that becomes 255; None for what the file states.
        stated: the range that the file states; by default 0 to 65535.

    Warns:
        DataWarning: the levels use less than an eighth of the range.

    Example:
        >>> to_8_bits(np.array([0, 32768, 65535], np.uint16), "scan").tolist()
        [0, 128, 255]
        >>> to_8_bits(np.array([0, 2048, 5000], np.uint16), "scan", intensity=4095).tolist()
        [0, 128, 255]
    """
    stated = stated or LevelRange()
    white = intensity or _white_level(levels, stated)
    if intensity is None:
        warn_of_small_range(name, int(levels.max(initial=0)), white)
    clipped = np.minimum(levels, white).astype(np.uint32)
    if stated.inverted:
        clipped = white - clipped
    return np.asarray((clipped * 255 + white // 2) // white, np.uint8)


def _white_level(levels: NDArray[np.uint16], stated: LevelRange) -> int:
    """Return the white level of a file, with a PNG's significant bits checked against its levels.

    Levels scaled to 16 bits, which is what the specification asks for, have equal high and low
    bits. So dark ones with other low bits are not scaled.
    """
    if 0 < stated.bits < 16:
        white = (1 << stated.bits) - 1
        if levels.max(initial=0) <= white and (levels & ((1 << (16 - stated.bits)) - 1)).any():
            return white
    return stated.white


def warn_of_small_range(name: str, highest: int, white: int) -> None:
    """Warn of an image if its levels up to `highest` use less than an eighth of their range."""
    if 0 < highest * _EIGHTH < white:
        advised = (1 << highest.bit_length()) - 1
        warnings.warn(
            f"{name}: levels up to {highest} of {white} use less than an eighth of the range; give "
            f"--intensity {advised} if the image should be brighter",
            DataWarning,
            stacklevel=2,
        )
