"""Files of several images: pages of a TIFF, frames of an animated PNG or WebP."""

import re
from collections.abc import Sequence

from PIL import Image

from runtime.core.errors import ImageError
from runtime.data.png_structure import png_bits
from runtime.data.tiff_structure import tiff_pages

_BITS_PER_SAMPLE, _DESCRIPTION = 258, 270
_IMAGEJ_IMAGES = re.compile(r"^images=(\d{1,9})\s*$", re.MULTILINE)


def choose_frame(image: Image.Image, content: bytes, name: str, frame: int | None) -> None:
    """Make one frame of an opened file the one that is decoded.

    Smaller versions of a TIFF's pages are not frames. Nor are the further pictures of a JPEG, such
    as a preview or a depth map.

    Args:
        image: the opened file.
        content: its bytes.
        frame: number of the frame, from 1; None where the file must have a single one.

    Raises:
        ImageError: there are several frames and none is chosen, or there is no such frame.
    """
    frames = _frames(image, content, name)
    if frame is None and len(frames) > 1:
        raise ImageError(
            f"{name}: a file of {len(frames)} images, of which only one can be used; choose it "
            "with --frame of seg-predict (in Python frame=N), or store it in a file of its own"
        )
    stack = _imagej_images(image)
    if frame is None and stack > len(frames):
        raise ImageError(
            f"{name}: an ImageJ stack of {stack} images, of which only the first can be read; "
            "choose it with --frame 1 of seg-predict (in Python frame=1), or save single images"
        )
    number = 1 if frame is None else frame
    if not 1 <= number <= len(frames):
        raise ImageError(f"{name}: no frame {number}, the frames are 1 to {len(frames)}")
    position = frames[number - 1]
    if position == 0:
        return
    try:
        image.seek(position)
    except (OSError, EOFError, SyntaxError, ValueError, TypeError) as fault:
        raise ImageError(f"{name}: damaged image, frame {number} cannot be read") from fault


def _frames(image: Image.Image, content: bytes, name: str) -> Sequence[int]:
    """Return the positions of a file's frames, from 0."""
    if image.format == "TIFF":
        return tiff_pages(content, name)
    if image.format in ("PNG", "WEBP"):
        return range(max(1, int(getattr(image, "n_frames", 1))))
    return (0,)


def _imagej_images(image: Image.Image) -> int:
    """Return the number of images that ImageJ states for a stack in one page of a TIFF, or 1.

    ImageJ stores large stacks so: one page, with the pixels of all images behind one another.
    """
    text = str(getattr(image, "tag_v2", {}).get(_DESCRIPTION, ""))[:10_000]
    match = _IMAGEJ_IMAGES.search(text) if text.startswith("ImageJ=") else None
    return int(match[1]) if match else 1


def bits_per_channel(image: Image.Image, content: bytes, name: str) -> int:
    """Return the bits of the first channel as the file stores it, where it may have more than 8."""
    if image.format == "PNG":
        return png_bits(content, name)
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))
        return int(bits[0]) if isinstance(bits, tuple) and bits else 8
    return 8
