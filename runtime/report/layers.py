"""Transparent pictures to lay over a scan in a gallery: outlines, probability maps and boxes."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from runtime.data.orientation import Size
from runtime.data.segmentations import Box
from runtime.metrics import THRESHOLD
from runtime.model.overlay import HEAT, TARGET

Color = tuple[int, int, int]

_STRONGEST = 0.8
_TINY = 0.04


def css_color(color: Color) -> str:
    """Return an RGB color in CSS notation.

    Example:
        >>> css_color((255, 48, 32))
        '#ff3020'
    """
    return "#{:02x}{:02x}{:02x}".format(*color)


def display_window(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture whose values fill the range where they use less than half of it.

    Dark scans would stay black on a page. The 0.2 and 99.8 percentiles become 0 and 255.

    Args:
        pixels: RGB, uint8 [H, W, 3].

    Example:
        >>> dark = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
        >>> int(dark.max()), int(display_window(dark).max())
        (47, 255)
    """
    low, high = np.percentile(pixels, (0.2, 99.8))
    if high - low > 127 or high <= low:
        return pixels
    stretched = (pixels.astype(np.float32) - low) * (255.0 / (high - low))
    windowed: NDArray[np.uint8] = np.rint(stretched.clip(0.0, 255.0)).astype(np.uint8)
    return windowed


def mask_layer(mask: NDArray[np.uint8], color: Color = TARGET, width: int = 2) -> NDArray[np.uint8]:
    """Return the outline of a mask, drawn inside its edge.

    Args:
        mask: uint8 [H, W] of 0 and 1.
        color: of the line.
        width: of the line, in pixels.

    Returns:
        RGBA, uint8 [H, W, 4].
    """
    return _layer(_outline(mask.astype(bool), width) * 255.0, color)


def probability_layer(probability: NDArray[np.float32], color: Color = HEAT) -> NDArray[np.uint8]:
    """Return a probability map, more opaque where higher, with an outline of p >= 0.5.

    Args:
        probability: float32 [H, W] in [0, 1].

    Returns:
        RGBA, uint8 [H, W, 4].
    """
    alpha = probability * np.float32(255.0 * _STRONGEST)
    return _layer(np.where(_outline(probability >= THRESHOLD, 1), 255.0, alpha), color)


def _layer(alpha: NDArray[np.floating], color: Color) -> NDArray[np.uint8]:
    layer = np.empty((*alpha.shape, 4), np.uint8)
    layer[..., :3] = color
    layer[..., 3] = np.rint(alpha)
    return layer


def _outline(region: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    inner = region
    for _ in range(width):
        edge = np.pad(inner, 1)
        inner = inner & edge[:-2, 1:-1] & edge[2:, 1:-1] & edge[1:-1, :-2] & edge[1:-1, 2:]
    outline: NDArray[np.bool_] = region & ~inner
    return outline


def boxes_svg(boxes: Iterable[Box], size: Size, color: Color = TARGET) -> str:
    """Return boxes as an SVG document, with a ring around each that is too small to see.

    Args:
        boxes: x, y, width, height in pixels of an image of (height, width) `size`.
    """
    height, width = size
    tiny = _TINY * min(size)
    shapes = []
    for x, y, w, h in boxes:
        shapes.append(f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}"/>')
        if max(w, h) < tiny:
            shapes.append(f'<circle cx="{x + w / 2:g}" cy="{y + h / 2:g}" r="{tiny:g}"/>')
    # The drawing is scaled to the picture, so the line width is relative to the image.
    line = f'fill="none" stroke="{css_color(color)}" stroke-width="{max(size) / 130:g}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" preserveAspectRatio="none">'
        f"<g {line}>{''.join(shapes)}</g></svg>"
    )
