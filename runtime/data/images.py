"""Decoding and resizing a scan: written once for training, calibration, evaluation and prediction.

Every image becomes RGB, uint8. A JPEG that is at least twice the asked size in both directions is
decoded at a half, a quarter or an eighth of its size (libjpeg's scaled inverse DCT, Pillow's
`draft`), then resized with Pillow's bilinear filter, which is antialiased. An exported file's
metadata repeats these choices, because a network only gives its numbers for images made this way.
"""

import io
import os
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from runtime.core.errors import ConfigError, ImageError
from runtime.core.files import read_bytes
from runtime.data.image_structure import check_rows, check_structure, unidentified

ImageSource = str | os.PathLike[str] | bytes | Image.Image | NDArray[np.generic]
Size = tuple[int, int]
"""(height, width) in pixels."""

RESIZE_FILTER = "bilinear"
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
MAX_PIXELS = 1 << 26
"""Of an image; beyond about 2**26.4 Pillow's own limit, `PIL.Image.MAX_IMAGE_PIXELS`, is lower."""
MAX_SIDE = 8192
MAX_FILE_BYTES = 1 << 28
SCALE = np.float32(1.0) / np.float32(255.0)
"""What turns a uint8 level into the network's input in [0, 1]; training multiplies by it too."""

_FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
# What Pillow's decoders raise where a damaged file holds a value of another type or range.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, AttributeError,
           ArithmeticError, RuntimeError, struct.error, *_BOMBS)  # fmt: skip
_TRANSPARENT = ("RGBA", "LA", "PA", "La", "RGBa")


@dataclass(frozen=True, slots=True)
class Scan:
    """A decoded image.

    Attributes:
        pixels: RGB, uint8 [height, width, 3], at the asked size.
        original_size: (height, width) of the image before it was resized.
    """

    pixels: NDArray[np.uint8]
    original_size: Size


def load_scan(source: ImageSource, size: Size | None = None) -> Scan:
    """Decode an image and resize it to `size`, or keep its own size.

    Gray, palette and 16-bit images become 8-bit RGB (16-bit levels are divided by 257);
    transparency is laid over black; the pixels are taken as stored, without EXIF rotation.

    Args:
        source: a path, an encoded file's bytes, a PIL image, or an array [H, W], [H, W, 3] or
            [H, W, 4] of uint8, uint16, or floats in [0, 1] (which are rounded to 8 bits).

    Raises:
        ImageError: it cannot be read, is damaged, has more than 2**26 pixels, or asks for more
            time or memory than its size tells (`runtime.data.image_structure`).
        ConfigError: `size` is not possible.
    """
    image, original_size = decode_image(source, size)
    return Scan(resize_image(image, size or original_size), original_size)


def decode_image(source: ImageSource, size: Size | None = None) -> tuple[Image.Image, Size]:
    """Decode an image, the first half of `load_scan`: a JPEG at the scale that suits `size`.

    Returns:
        The picture, RGB or gray (mode L), which is yet to be resized, and the (height, width) that
        the image has.

    Raises:
        ImageError, ConfigError: as `load_scan`.
    """
    name = describe(source)
    content = None
    if size is not None:
        check_size(size)
    if isinstance(source, np.ndarray):
        image = Image.fromarray(_to_uint8(source, name))
    elif isinstance(source, Image.Image):
        image = source
    elif isinstance(source, str | os.PathLike | bytes):
        content = source if isinstance(source, bytes) else _read(source)
        image = _open(content, name)
    else:
        raise ImageError(
            f"{name}: expected a path, an encoded file's bytes, a PIL image or an array, found "
            "something else"
        )
    width, height = image.size
    if not 0 < width * height <= MAX_PIXELS:
        raise ImageError(f"{name}: expected 1 to {MAX_PIXELS} pixels, found {width}x{height}")
    try:
        if size is not None and image.format == "JPEG" and image is not source:
            image.draft("RGB", (size[1], size[0]))
        if content is not None and image.format == "PNG":
            _check_last_row(image, content, name)
        return _to_8_bits(image, name), (height, width)
    except _DAMAGE as fault:
        raise ImageError(
            f"{name}: expected a complete image, found a damaged one ({fault})"
        ) from fault


def check_size(size: Size) -> None:
    """Raise ConfigError where an image cannot be brought to this (height, width)."""
    if not all(0 < side <= MAX_SIDE for side in size):
        raise ConfigError(f"size: expected 1 to {MAX_SIDE} pixels a side, found {size}")


def resize_image(image: Image.Image, size: Size) -> NDArray[np.uint8]:
    """Resize an RGB or gray picture, the second half of `load_scan`; return uint8 [H, W, 3]."""
    if image.size != (size[1], size[0]):
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    if image.mode != "RGB":  # not before: three equal channels would take three times as long
        image = image.convert("RGB")
    return np.asarray(image)


def to_input(
    pixels: NDArray[np.uint8], out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Turn uint8 [H, W, 3] into the network's input, float32 [3, H, W] in [0, 1]."""
    image: NDArray[np.float32] = np.multiply(
        pixels.transpose(2, 0, 1), SCALE, out=out, dtype=np.float32
    )
    return image


def resize_map(values: NDArray[np.float32], size: Size) -> NDArray[np.float32]:
    """Resize a probability map, float32 [H, W] in [0, 1], to `size` with the bilinear filter."""
    if values.shape == size:
        return values
    image = Image.fromarray(np.ascontiguousarray(values))
    resized = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    clipped: NDArray[np.float32] = np.clip(np.asarray(resized), 0.0, 1.0)
    return clipped


def describe(source: ImageSource) -> str:
    """Return the name of an image for a message: its path, or what it is."""
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    return f"<{type(source).__name__}>"


def _read(path: str | os.PathLike[str]) -> bytes:
    return read_bytes(path, limit=MAX_FILE_BYTES, error=ImageError)


def _open(content: bytes, name: str) -> Image.Image:
    check_structure(content, name)
    formats = ", ".join(_FORMATS)
    try:
        image = Image.open(io.BytesIO(content), formats=_FORMATS)
    except _BOMBS as fault:
        limit = min(MAX_PIXELS, Image.MAX_IMAGE_PIXELS or MAX_PIXELS)
        raise ImageError(f"{name}: expected 1 to {limit} pixels, found more") from fault
    except UnidentifiedImageError as fault:
        found = unidentified(content)
        raise ImageError(f"{name}: expected an image ({formats}), found {found}") from fault
    except _DAMAGE as fault:
        raise ImageError(
            f"{name}: expected an image ({formats}), found one that is damaged or asks for too "
            f"much ({fault})"
        ) from fault
    return image


def _check_last_row(image: Image.Image, content: bytes, name: str) -> None:
    """Raise ImageError where a PNG lacks its last row.

    To inflate its data a second time takes half as long as to decode it, so that this is left out
    where the last row holds anything: Pillow leaves the rows that are not there at zero. Those of
    an interlaced image come in another order.
    """
    last = image.crop((0, image.height - 1, *image.size))
    if image.info.get("interlace") or not np.asarray(last).any():
        check_rows(content, name)


def _to_8_bits(image: Image.Image, name: str) -> Image.Image:
    """Return an image as one of mode RGB or L."""
    if image.mode == "F":
        raise ImageError(f"{name}: expected 8 or 16 bits a channel, found floating point")
    if image.mode.startswith("I"):
        return Image.fromarray(_to_uint8(_levels(image, name), name))
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, image.convert("RGBA")).convert("RGB")
    if image.mode in ("RGB", "L"):
        image.load()
        return image
    return image.convert("RGB")


def _levels(image: Image.Image, name: str) -> NDArray[np.uint16]:
    """Return a 16-bit image's levels, those that it declares transparent as black."""
    levels = np.asarray(image)
    if levels.min() < 0 or levels.max() > 0xFFFF:
        raise ImageError(f"{name}: expected levels of 0 to 65535, found others")
    transparent = image.info.get("transparency")
    return np.where(levels == transparent, 0, levels).astype(np.uint16)


def _to_uint8(array: NDArray[np.generic], name: str) -> NDArray[np.uint8]:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ImageError(
            f"{name}: expected an array [H, W], [H, W, 3] or [H, W, 4], found {list(array.shape)}"
        )
    if 0 in array.shape or array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise ImageError(f"{name}: expected 1 to {MAX_PIXELS} pixels, found {list(array.shape)}")
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array, dtype=np.uint8)
    if array.dtype == np.uint16:
        return np.asarray((array.astype(np.uint32) + 128) // 257, np.uint8)
    if np.issubdtype(array.dtype, np.floating):
        values = array.astype(np.float32)
        if not (values.min() >= 0.0 and values.max() <= 1.0):
            raise ImageError(f"{name}: expected floats in [0, 1], found values outside it or NaN")
        return np.asarray(np.rint(values * np.float32(255.0)), np.uint8)
    raise ImageError(f"{name}: expected uint8, uint16 or floats, found {array.dtype}")
