"""Masks in picture files: their levels as stored, because each may be a label of its own."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.core.errors import ImageError
from runtime.core.files import read_bytes
from runtime.data.frames import choose_frame
from runtime.data.images import MAX_FILE_BYTES, load_pixels, open_image
from runtime.data.orientation import Size, orientation_of, upright_size

_GRAY = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")


def picture_sizes(path: Path) -> tuple[Size, Size]:
    """Return the (height, width) of a picture upright, and as it is stored.

    Raises:
        ImageError: the picture cannot be read, or its file has several.
    """
    image, _ = _opened(path)
    tag = orientation_of(image)
    if image.format == "TIFF":
        upright = (image.height, image.width)
        return upright, upright_size(tag, upright)
    return upright_size(tag, (image.height, image.width)), (image.height, image.width)


def mask_levels(path: Path) -> NDArray[np.int64]:
    """Return the levels of a mask picture, int64 [height, width], not turned.

    A palette's levels are its indices, those of one bit are 0 and 1. A color picture counts as gray
    where its channels are equal; what is transparent is 0.

    Raises:
        ImageError: the picture cannot be read, or has colors.
    """
    image, content = _opened(path)
    load_pixels(image, content, str(path))
    if image.mode in _GRAY:
        return np.asarray(image).astype(np.int64)
    if image.mode == "F" or image.mode not in ("RGB", "RGBA", "LA"):
        raise ImageError(f"{path}: expected a gray mask, found the mode {image.mode}")
    channels = np.asarray(image).astype(np.int64)
    colors = channels[..., : len(image.getbands()) - (image.mode != "RGB")]
    if (colors != colors[..., :1]).any():
        raise ImageError(f"{path}: expected a gray mask, found colors")
    opaque = channels[..., -1] > 0 if image.mode != "RGB" else True
    return np.where(opaque, colors[..., 0], 0)


def _opened(path: Path) -> tuple[Image.Image, bytes]:
    content = read_bytes(path, limit=MAX_FILE_BYTES, error=ImageError)
    image = open_image(content, str(path))
    choose_frame(image, content, str(path), None)
    return image, content
