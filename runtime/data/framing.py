"""How images of any size meet a network's input of one size: stretched, fitted or in windows.

An image is resized to a size that the rule chooses (`Framing.scaled`). Windows of the network's
size then cover it: one with a black margin if it is smaller than the network's input, several that
overlap if it is larger. Maps of overlapping windows are blended with weights that fall linearly
towards a window's edges and whose sum is 1 at every pixel.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from runtime.core.settings import Resize
from runtime.data.orientation import Size

Value = TypeVar("Value")
Pixels = NDArray[np.uint8]
Map = NDArray[np.float32]

_OVERLAP = 4
"""Neighboring windows have at least this part of a window's side in common: a quarter."""
_PROPORTIONS = math.log(1.05)
"""Proportions that differ by less count as equal."""


@dataclass(frozen=True, slots=True)
class Framing:
    """The rule by which an image meets a network's input.

    Attributes:
        size: (height, width) of the input.
        resize: "stretch" fills the input with the image, whatever its proportions. "fit" keeps them
            and fills the rest with black. "tile" keeps the scale of the training in overlapping
            windows.
        view: (height, width), in image pixels, of what one input showed in training; None if it is
            unknown.
    """

    size: Size
    resize: Resize = "stretch"
    view: Size | None = None

    def scaled(self, original: Size) -> Size:
        """Return the (height, width) to which an image is resized.

        With "tile", a window shows `view` pixels of the image. An image that is smaller than that
        is enlarged until one side fills the window. If `view` is unknown, a window is as high or as
        wide as the image.

        Args:
            original: (height, width) of the image.

        Example:
            >>> for resize in ("stretch", "fit", "tile"):
            ...     print(Framing((128, 128), resize).scaled((1713, 2048)))
            (128, 128)
            (107, 128)
            (128, 153)
            >>> tile = Framing((128, 128), "tile", view=(512, 512))
            >>> tile.scaled((1713, 2048)), tile.scaled((100, 200))
            ((428, 512), (64, 128))
        """
        (height, width), (rows, columns) = self.size, original
        if self.resize == "stretch":
            return self.size
        if self.resize == "fit":
            scale = min(height / rows, width / columns)
            return max(1, round(rows * scale)), max(1, round(columns * scale))
        shown = self.view or self.size
        shares = rows / shown[0], columns / shown[1]
        factor = min(shares) if self.view is None else min(1.0, max(shares))
        scaled = (height * rows / shown[0] / factor, width * columns / shown[1] / factor)
        return max(1, round(scaled[0])), max(1, round(scaled[1]))

    def stretch_note(self, originals: Iterable[Size]) -> str | None:
        """Return a sentence on images stretched otherwise than most training images; else None.

        Where the training is unknown, it is about images that do not have the input's proportions.

        Args:
            originals: (height, width) of images.

        Example:
            >>> framing = Framing((128, 128), view=(640, 640))
            >>> framing.stretch_note([(640, 640), (1713, 2048)])
            "1 of 2 images is stretched otherwise than most training images: in the input, shapes \
of 2048x1713 pixels are 1.20 times as high; --resize fit or tile keeps an image's proportions"
            >>> Framing((128, 128)).stretch_note([(64, 128)])
            "the image is stretched: in the input, shapes of 128x64 pixels are 2.00 times as high; \
--resize fit or tile keeps an image's proportions"
        """
        if self.resize != "stretch":
            return None
        height, width = self.view or self.size
        counts = Counter(originals)
        widened = {size: size[0] / size[1] * width / height for size in counts}
        others = [size for size in widened if abs(math.log(widened[size])) > _PROPORTIONS]
        if not others:
            return None
        worst = max(others, key=lambda size: abs(math.log(widened[size])))
        factor = widened[worst]
        changed = f"{factor:.2f} times as wide" if factor > 1 else f"{1 / factor:.2f} times as high"
        stretched, total = sum(counts[size] for size in others), counts.total()
        of_all = "the image" if total == 1 else f"{stretched} of {total} images"
        verb = "is" if stretched == 1 else "are"
        how = "" if self.view is None else " otherwise than most training images"
        return (
            f"{of_all} {verb} stretched{how}: in the input, "
            f"shapes of {worst[1]}x{worst[0]} pixels are {changed}; "
            "--resize fit or tile keeps an image's proportions"
        )


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows that cover a resized image, row by row.

    Attributes:
        scaled: (height, width) of the resized image.
        size: (height, width) of a window.

    Example:
        >>> windows = Windows((128, 153), (128, 128))
        >>> windows.count, [windows.place(index) for index in range(windows.count)]
        (2, [(0, 0), (0, 25)])
    """

    scaled: Size
    size: Size

    @property
    def grid(self) -> tuple[int, int]:
        """The numbers of rows and columns of windows."""
        rows, columns = map(_count, self.scaled, self.size)
        return rows, columns

    @property
    def count(self) -> int:
        """The number of windows."""
        return math.prod(self.grid)

    def place(self, index: int) -> tuple[int, int]:
        """Return a window's first row and column in the image; negative where a margin begins."""
        rows, columns = self.grid
        row, column = divmod(index, columns)
        return (
            _start(row, rows, self.scaled[0], self.size[0]),
            _start(column, columns, self.scaled[1], self.size[1]),
        )

    def cut(self, pixels: Pixels, index: int) -> Pixels:
        """Return a window of an image or mask, uint8 [scaled, ...], with zeros in the margin."""
        if self.scaled == self.size:
            return pixels
        inside, at = self.overlap(index)
        if pixels[inside].shape[:2] == self.size:
            return pixels[inside]
        window = np.zeros((*self.size, *pixels.shape[2:]), np.uint8)
        window[at] = pixels[inside]
        return window

    def overlap(self, index: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Return where a window lies in the image, and where the image lies in the window."""
        inside, at = [], []
        for first, whole, side in zip(self.place(index), self.scaled, self.size, strict=True):
            inside.append(slice(max(0, first), min(whole, first + side)))
            at.append(slice(max(0, -first), min(side, whole - first)))
        return (inside[0], inside[1]), (at[0], at[1])


@dataclass(slots=True)
class Mosaic:
    """The map of a resized image, put together from the maps of its windows.

    Attributes:
        windows: of the image.
        blended: the sum of the weighted maps so far; None before the first one.
    """

    windows: Windows
    blended: Map | None = field(default=None)

    def add(self, index: int, probability: Map) -> None:
        """Add a window's map, float32 [window's size]; what lies in a margin is cut away."""
        inside, at = self.windows.overlap(index)
        if self.windows.count == 1:
            self.blended = probability[at]
            return
        if self.blended is None:
            self.blended = np.zeros(self.windows.scaled, np.float32)
        rows, columns = self.windows.grid
        row, column = divmod(index, columns)
        down = _weights(row, rows, self.windows.scaled[0], self.windows.size[0])
        along = _weights(column, columns, self.windows.scaled[1], self.windows.size[1])
        self.blended[inside] += (probability * down[:, None] * along)[at]

    def result(self) -> Map:
        """Return the map after the last window, float32 [scaled] in [0, 1]."""
        assert self.blended is not None
        return self.blended if self.windows.count == 1 else self.blended.clip(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Piece(Generic[Value]):
    """A window on its way through a network: its image's mosaic, its number, the image's value."""

    mosaic: Mosaic
    index: int
    value: Value


def cut_windows(
    images: Iterable[tuple[Pixels, Value]], size: Size
) -> Iterator[tuple[Pixels, Piece[Value]]]:
    """Yield the windows of each image, RGB uint8 [height, width, 3] of `size`, image by image.

    Args:
        images: resized images, and a value for each.
    """
    for pixels, value in images:
        windows = Windows((pixels.shape[0], pixels.shape[1]), size)
        mosaic = Mosaic(windows)
        for index in range(windows.count):
            yield windows.cut(pixels, index), Piece(mosaic, index, value)


def join_windows(maps: Iterable[tuple[Map, Piece[Value]]]) -> Iterator[tuple[Map, Value]]:
    """Yield the map of each image, float32 [scaled] in [0, 1], from those of all its windows."""
    for probability, piece in maps:
        piece.mosaic.add(piece.index, probability)
        if piece.index + 1 == piece.mosaic.windows.count:
            yield piece.mosaic.result(), piece.value


def _count(whole: int, side: int) -> int:
    """Return the number of windows along an axis."""
    return 1 + max(0, math.ceil((whole - side) / (side - side // _OVERLAP)))


def _start(index: int, count: int, whole: int, side: int) -> int:
    """Return where a window begins along an axis; one that is alone lies in the middle."""
    return -((side - whole) // 2) if count == 1 else index * (whole - side) // (count - 1)


def _weights(index: int, count: int, whole: int, side: int) -> Map:
    """Return a window's share of each pixel along an axis, float32 [side]."""
    own = _ramp(side)
    total = np.zeros(side)
    first = _start(index, count, whole, side)
    for other in range(max(0, index - 3), min(count, index + 4)):  # no others overlap
        shift = _start(other, count, whole, side) - first
        if abs(shift) < side:
            low, high = max(0, shift), min(side, side + shift)
            total[low:high] += own[low - shift : high - shift]
    weights: Map = (own / total).astype(np.float32)
    return weights


def _ramp(side: int) -> NDArray[np.float64]:
    """Return the weight before division by the sum: it rises to 1 within a quarter of the side."""
    edge = np.arange(side) + 1.0
    slope: NDArray[np.float64] = np.minimum(edge, edge[::-1]) / max(1, side // _OVERLAP)
    return np.minimum(slope, 1.0)
