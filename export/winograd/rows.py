"""Feature maps as matrices with one row per pixel, in any order of the pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np
from numpy.typing import NDArray

from export.winograd.builder import GraphBuilder
from export.winograd.pixel_order import NONE, Order, locate_pixels, raster
from runtime.data.orientation import Size

Vector = NDArray[np.float64]
GROWTH = 2.0
"""The largest shift after a convolution, as a multiple of the convolution's own bias."""


@dataclass(frozen=True, slots=True, eq=False)
class RowPart:
    """Some rows of a feature map: a value, float32 [batch, rows, channels], and its pixels."""

    name: str
    order: Order


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A feature map in parts, which together have each pixel once.

    Attributes:
        shift: [channels], still to be added to the rows. A bias stays here until the next
            convolution adds it to its own bias, which saves a pass over the map.
    """

    parts: tuple[RowPart, ...]
    size: Size
    shift: Vector

    @property
    def channels(self) -> int:
        """The number of channels."""
        return len(self.shift)


def gather_pixels(builder: GraphBuilder, batch: str, maps: Sequence[Rows], pixels: Order) -> str:
    """Gather pixels of maps of one size, joined along their channels.

    Args:
        batch: the name of the batch size, int64 [1].
        pixels: of any shape; NONE gives the rows that stand for zero.

    Returns:
        The name of a float32 [batch, *pixels.shape, channels of all maps], to which the shifts of
        the maps are still to be added.
    """
    width = gcd(*(rows.channels for rows in maps))
    pieces: list[str] = []
    index: list[Order] = []
    taken = 0  # rows of `width` channels in the pieces so far
    padded = bool((pixels == NONE).any())
    for rows in maps:
        count = rows.channels // width
        part_of, row_of = locate_pixels([part.order for part in rows.parts], rows.size)
        parts_used, places = part_of[pixels], row_of[pixels]
        where = np.empty(pixels.shape, np.int64)
        for number, part in enumerate(rows.parts):
            used = (parts_used == number) & (pixels != NONE)
            if not used.any():
                continue
            name, length, local = _compact(builder, part, places[used])
            pieces.append(builder.reshape(name, length * count, width) if count > 1 else name)
            where[used] = taken + local * count
            taken += length * count
        if padded:
            pieces.append(_padding(builder, batch, rows.shift, width))
            where[pixels == NONE] = taken
            taken += count
        index.append(where[..., None] + np.arange(count))
    joined = builder.node("Concat", *pieces, axis=1) if len(pieces) > 1 else pieces[0]
    return _take(builder, joined, np.concatenate(index, axis=-1), taken, width)


def _take(builder: GraphBuilder, joined: str, index: Order, count: int, width: int) -> str:
    """Take rows of a value [batch, count, width]; the last axis of the index joins channels."""
    channels = index.shape[-1] * width
    if np.array_equal(index.ravel(), np.arange(count)):
        return builder.reshape(joined, *index.shape[:-1], channels)
    if index.shape[-1] == 1:
        return builder.node("Gather", joined, _int32(builder, index[..., 0]), axis=1)
    found = builder.node("Gather", joined, _int32(builder, index), axis=1)
    return builder.reshape(found, *index.shape[:-1], channels)


def _int32(builder: GraphBuilder, index: Order) -> str:
    return builder.constant(index.astype(np.int32))


def _compact(builder: GraphBuilder, part: RowPart, places: Order) -> tuple[str, int, Order]:
    """Drop unused rows of a part where they are most, as when only a strip's edge is used."""
    used, local = np.unique(places, return_inverse=True)
    if 2 * len(used) > len(part.order):
        return part.name, len(part.order), places
    index = builder.constant(used.astype(np.int32))
    return builder.node("Gather", part.name, index, axis=1), len(used), local


def _padding(builder: GraphBuilder, batch: str, shift: Vector, width: int) -> str:
    """Return rows that are zero once they are shifted, [batch, channels / width, width]."""
    rows = builder.constant((-shift).astype(np.float32).reshape(1, -1, width))
    ones = builder.constant(np.array([1, 1], np.int64))
    return builder.node("Expand", rows, builder.node("Concat", batch, ones, axis=0))


def unshifted(builder: GraphBuilder, rows: Rows) -> Rows:
    """Add the shift to the rows."""
    if not rows.shift.any():
        return rows
    shift = builder.constant(rows.shift.astype(np.float32))
    parts = tuple(RowPart(builder.node("Add", part.name, shift), part.order) for part in rows.parts)
    return Rows(parts, rows.size, np.zeros_like(rows.shift))


def shifted_by(
    builder: GraphBuilder, parts: Sequence[RowPart], size: Size, bias: Vector, through: Vector
) -> Rows:
    """Return the output of a convolution, with its bias still to be added.

    Args:
        bias: of the convolution.
        through: the convolution of its inputs' shift. It is added to the rows where it is large:
            it would grow from layer to layer and cost the rows precision.
    """
    if np.linalg.norm(bias + through) <= GROWTH * np.linalg.norm(bias):
        return Rows(tuple(parts), size, bias + through)
    settled = Rows(tuple(parts), size, through)
    return Rows(unshifted(builder, settled).parts, size, bias)


def from_image(builder: GraphBuilder, image: str, channels: int, size: Size) -> Rows:
    """Turn [batch, channels, height, width] into rows."""
    flat = builder.reshape(image, channels, size[0] * size[1])
    part = RowPart(builder.node("Transpose", flat, perm=[0, 2, 1]), raster(size))
    return Rows((part,), size, np.zeros(channels))


def to_image(builder: GraphBuilder, batch: str, maps: Sequence[Rows]) -> str:
    """Turn maps of one size, joined along their channels, into [batch, channels, height, width]."""
    plain = [unshifted(builder, rows) for rows in maps]
    size, channels = plain[0].size, sum(rows.channels for rows in plain)
    flat = gather_pixels(builder, batch, plain, raster(size))
    if channels > 1:
        flat = builder.node("Transpose", flat, perm=[0, 2, 1])
    return builder.reshape(flat, channels, *size)
