"""Decoding of scans, for training, calibration, evaluation and prediction alike.

Every image becomes RGB, uint8. A JPEG of at least twice the requested size in both directions is
decoded at a half, a quarter or an eighth of its size (libjpeg's scaled inverse DCT, Pillow's
`draft`). Then it is resized with Pillow's bilinear filter, which is antialiased. The metadata of an
exported file states these choices, because a network's scores hold only for images made this way.
"""

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from runtime.core.errors import ImageError
from runtime.core.files import read_bytes
from runtime.data.color import to_8_bit_image, to_rgb_or_gray
from runtime.data.frames import choose_frame
from runtime.data.image_structure import check_structure, describe_unreadable
from runtime.data.levels import check_intensity, stated_range, to_8_bits
from runtime.data.orientation import (
    Size,
    applied_orientation,
    orientation_of,
    turn,
    turn_back,
    upright_size,
)
from runtime.data.png_structure import check_rows
from runtime.data.resizing import check_size, resize_image

SizeRule = Callable[[Size], Size]
"""Returns the (height, width) to resize an image to, from its own (`Framing.scaled`)."""
ImageSource = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | NDArray[np.generic]

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
MAX_PIXELS = 1 << 26
"""Most pixels of an image. To read more than about 2**26.4 pixels, raise Pillow's own limit,
`PIL.Image.MAX_IMAGE_PIXELS`, too."""
MAX_FILE_BYTES = 1 << 28

_FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
# Pillow raises these while it decodes a damaged file. TypeError: a tag of a TIFF has another type.
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError)


@dataclass(frozen=True, slots=True)
class Scan:
    """A decoded image.

    Attributes:
        pixels: RGB, uint8 [height, width, 3], at the requested size.
        original_size: (height, width) of the image before resizing.
    """

    pixels: NDArray[np.uint8]
    original_size: Size


def load_scan(
    source: ImageSource,
    size: Size | SizeRule | None = None,
    *,
    frame: int | None = None,
    intensity: int | None = None,
    stated_size: Size | None = None,
) -> Scan:
    """Decode an image and resize it.

    Gray, palette and 16-bit images become 8-bit RGB (`runtime.data.levels`). Transparent images are
    composed over black (`runtime.data.color`). An image is turned upright as its EXIF tag says, in
    every format (`runtime.data.orientation`).

    Args:
        source: a path, an encoded file's bytes, an open binary file, a PIL image, or an array. An
            array is [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] of uint8, uint16, or floats in [0, 1]
            (rounded to 8 bits).
        size: (height, width) of the result, or a function that returns it for the image's own
            (height, width); None for the image's own size.
        frame: of a file with several (pages of a TIFF, frames of an animation), from 1.
        intensity: the level of a 16-bit gray image that becomes white, such as 4095 for 12 bits; by
            default what the file states, or 65535.
        stated_size: (height, width) as a COCO file states it. An image that has it as stored, and
            not when it is upright, is not turned.

    Raises:
        ImageError: the image cannot be read, is damaged, has more than 2**26 pixels, or would take
            more time or memory than its size justifies (`runtime.data.image_structure`); or a file
            has several frames and none is chosen.
        ConfigError: a side of `size` is not in 1 to 8192, or `intensity` not in 1 to 65535.

    Warns:
        DataWarning: a 16-bit image uses less than an eighth of its range, or transparency hides the
            picture or holds it.

    Example:
        >>> scan = load_scan(np.array([[0.0, 1.0]], np.float32), size=(2, 2))
        >>> scan.original_size, scan.pixels.shape, scan.pixels[..., 0].tolist()
        ((1, 2), (2, 2, 3), [[0, 255], [0, 255]])
        >>> load_scan(b"not an image")
        Traceback (most recent call last):
        runtime.core.errors.ImageError: <bytes>: not a JPEG, PNG, BMP, TIFF or WebP image
    """
    image, original_size = decode_image(
        source, size, frame=frame, intensity=intensity, stated_size=stated_size
    )
    wanted = _wanted(size, original_size, describe(source)) or original_size
    return Scan(resize_image(image, wanted), original_size)


def _wanted(size: Size | SizeRule | None, original_size: Size, name: str) -> Size | None:
    """Return the size to resize to. Raises ImageError if a rule asks for too many pixels."""
    if size is None or isinstance(size, tuple):
        return size
    wanted = size(original_size)
    if wanted[0] * wanted[1] > MAX_PIXELS:
        raise ImageError(
            f"{name}: would be resized to {wanted[1]}x{wanted[0]}, more than {MAX_PIXELS} pixels"
        )
    return wanted


def decode_image(
    source: ImageSource,
    size: Size | SizeRule | None = None,
    *,
    frame: int | None = None,
    intensity: int | None = None,
    stated_size: Size | None = None,
) -> tuple[Image.Image, Size]:
    """Decode an image, which is the first half of `load_scan`.

    Args:
        source, frame, intensity, stated_size: as for `load_scan`.
        size: the size that `resize_image` will be asked for, or its rule; a JPEG is decoded at a
            suitable scale.

    Returns:
        The image (mode RGB or L) before resizing, and its original (height, width).

    Raises:
        ImageError, ConfigError: as `load_scan`.
    """
    name = describe(source)
    check_intensity(intensity)
    if isinstance(size, tuple):
        check_size(size)
    if isinstance(source, np.ndarray):
        image = Image.fromarray(_to_uint8(source, name, intensity))
        return to_rgb_or_gray(image, name), (image.height, image.width)
    if isinstance(source, Image.Image):
        return _decode(source, None, name, None, intensity, stated_size)
    if isinstance(source, str | os.PathLike | bytes) or hasattr(source, "read"):
        content = _content(source, name)
        image = open_image(content, name)
        choose_frame(image, content, name, frame)
        return _decode(image, content, name, size, intensity, stated_size)
    several = isinstance(source, list | tuple)
    advice = "; predict_batch and stream take several images" if several else ""
    raise ImageError(f"{name}: not a path, an encoded file, a PIL image or an array{advice}")


def _decode(
    image: Image.Image,
    content: bytes | None,
    name: str,
    size: Size | SizeRule | None,
    intensity: int | None,
    stated_size: Size | None,
) -> tuple[Image.Image, Size]:
    """Decode an opened image; `content` is None where it is not from a file."""
    width, height = image.size
    if not 0 < width * height <= MAX_PIXELS:
        raise ImageError(f"{name}: expected 1 to {MAX_PIXELS} pixels, found {width}x{height}")
    levels = stated_range(image, content)
    is_tiff, is_png = image.format == "TIFF", image.format == "PNG"
    # A PNG may state its orientation after the pixels. A TIFF is turned by Pillow as it is decoded.
    tag = 1 if is_png else orientation_of(image)
    stored = upright_size(tag, (height, width)) if is_tiff else (height, width)
    scale = None
    if content is not None and image.format == "JPEG":
        turned = applied_orientation(tag, stored, stated_size)
        scale = _wanted(size, upright_size(turned, stored), name)
    load_pixels(image, content, name, None if scale is None else upright_size(tag, scale))
    tag = orientation_of(image) if is_png else tag
    applied = applied_orientation(tag, stored, stated_size)
    decoded = to_8_bit_image(image, content, name, levels, intensity)
    if is_tiff:
        decoded = decoded if applied == tag else turn_back(decoded, tag)
    else:
        decoded = turn(decoded, applied)
    return decoded, upright_size(applied, stored)


def describe(source: ImageSource) -> str:
    """Return a name of the image for messages: its path, or its type.

    Example:
        >>> describe("scans/a.png"), describe(b"...")
        ('scans/a.png', '<bytes>')
    """
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    return f"<{type(source).__name__}>"


def _content(source: str | os.PathLike[str] | bytes | BinaryIO, name: str) -> bytes:
    """Return the bytes of an encoded file."""
    if isinstance(source, bytes):
        return source
    if isinstance(source, str | os.PathLike):
        return read_bytes(source, limit=MAX_FILE_BYTES, error=ImageError)
    content = source.read(MAX_FILE_BYTES + 1)
    if not isinstance(content, bytes):
        raise ImageError(f"{name}: open the file in binary mode, 'rb'")
    if len(content) > MAX_FILE_BYTES:
        raise ImageError(f"{name}: expected at most {MAX_FILE_BYTES} bytes, found more")
    return content


def open_image(content: bytes, name: str) -> Image.Image:
    """Open the bytes of an image file; its pixels are not decoded yet. Raises ImageError."""
    check_structure(content, name)
    try:
        return Image.open(io.BytesIO(content), formats=_FORMATS)
    except _BOMBS as fault:
        limit = min(MAX_PIXELS, Image.MAX_IMAGE_PIXELS or MAX_PIXELS)
        raise ImageError(f"{name}: image too large, more than {limit} pixels") from fault
    except UnidentifiedImageError as fault:
        raise ImageError(f"{name}: {describe_unreadable(content)}") from fault
    except (OSError, ValueError) as fault:
        raise ImageError(f"{name}: damaged image, or beyond a limit ({fault})") from fault


def load_pixels(
    image: Image.Image, content: bytes | None, name: str, scale: Size | None = None
) -> None:
    """Decode the pixels of an opened image.

    Args:
        content: the bytes of its file; None where it is not from a file.
        scale: of a JPEG, the size that its scale is chosen for.

    Raises:
        ImageError: the image is damaged.
    """
    try:
        if scale is not None:
            image.draft("RGB", (scale[1], scale[0]))
        image.load()
    except _DAMAGE as fault:
        raise ImageError(f"{name}: damaged image ({fault})") from fault
    if content is not None and image.format == "PNG":
        _check_last_row(image, content, name)


def _check_last_row(image: Image.Image, content: bytes, name: str) -> None:
    """Raise ImageError if a PNG lacks its last row.

    Inflating the data again takes half as long as decoding. It is skipped where the last row is not
    all zero, because Pillow leaves missing rows at zero. An interlaced image is always checked, as
    its rows are stored in another order.
    """
    last = image.crop((0, image.height - 1, *image.size))
    if image.info.get("interlace") or not np.asarray(last).any():
        check_rows(content, name)


def _to_uint8(
    array: NDArray[np.generic], name: str, intensity: int | None = None
) -> NDArray[np.uint8]:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ImageError(
            f"{name}: expected an array [H, W] or [H, W, channels] with 1, 3 or 4 channels, found "
            f"{list(array.shape)}"
        )
    if 0 in array.shape or array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise ImageError(f"{name}: expected 1 to {MAX_PIXELS} pixels, found {list(array.shape)}")
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array, dtype=np.uint8)
    if array.dtype == np.uint16:
        return to_8_bits(array.astype(np.uint16), name, intensity=intensity)
    if np.issubdtype(array.dtype, np.floating):
        values = array.astype(np.float32)
        if not (values.min() >= 0.0 and values.max() <= 1.0):
            raise ImageError(f"{name}: the array contains NaN or values outside [0, 1]")
        return np.asarray(np.rint(values * np.float32(255.0)), np.uint8)
    raise ImageError(f"{name}: expected uint8, uint16 or floats, found {array.dtype}")
