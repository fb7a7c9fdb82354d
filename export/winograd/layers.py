"""A network's layers, computed on feature maps as rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from export.winograd.builder import GraphBuilder
from export.winograd.pixel_order import (
    doubled,
    even_then_odd,
    halved,
    patches,
    quarters,
    raster,
    tiled,
    tiles_along,
    windows,
)
from export.winograd.rows import RowPart, Rows, Vector, gather_pixels, shifted_by, unshifted
from export.winograd.transforms import KERNEL, transform
from runtime.data.orientation import Size

Weights = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class WinogradLayout:
    """The layout of a Winograd convolution.

    Attributes:
        tile: m of F(m x m, 3x3).
        strips: the number of strips of tile rows; the values of a strip stay in the caches.
        weights_left: whether the products are U V^T instead of V U. ONNX Runtime packs the right
            factor again at every run, so the smaller one belongs there.
    """

    tile: int
    strips: int = 1
    weights_left: bool = False


def convolve_winograd(
    builder: GraphBuilder,
    batch: str,
    maps: Sequence[Rows],
    weights: Weights,
    bias: Vector,
    layout: WinogradLayout,
) -> Rows:
    """Convolve maps, joined along their channels, by 3x3 kernels with stride 1 and padding 1.

    Args:
        weights: [outputs, inputs, 3, 3].
        bias: [outputs].
    """
    matrices, size = transform(layout.tile), maps[0].size
    n, m, outputs = matrices.window, layout.tile, weights.shape[0]
    inputs = weights.shape[1]
    right = builder.constant(matrices.input.astype(np.float32))
    back = builder.constant(matrices.output[even_then_odd(m)].astype(np.float32))
    kernels = _transformed(builder, weights, layout)
    parts = []
    for tile_rows in _strips(tiles_along(size[0], m), layout.strips):
        seen = windows(size, m, tile_rows)
        tiles = seen.shape[1]
        value = gather_pixels(builder, batch, maps, seen)
        value = builder.node("MatMul", right, builder.reshape(value, n, n * tiles * inputs))
        value = builder.node("MatMul", right, builder.reshape(value, n, n, tiles * inputs))
        value = builder.reshape(value, n * n, tiles, inputs)
        value = _product(builder, value, kernels, layout)
        value = builder.node("MatMul", back, builder.reshape(value, n, n * tiles * outputs))
        value = builder.node("MatMul", back, builder.reshape(value, m, n, tiles * outputs))
        if layout.weights_left:
            value = builder.reshape(value, m * m, outputs, tiles)
            value = builder.node("Transpose", value, perm=[0, 1, 3, 2])
        value = builder.reshape(value, m * m * tiles, outputs)
        parts.append(RowPart(value, tiled(size, m, tile_rows)))
    return shifted_by(builder, parts, size, bias, _shift_through(maps, weights))


def _transformed(builder: GraphBuilder, weights: Weights, layout: WinogradLayout) -> str:
    """Return G g G^T for every kernel, [1, n * n, inputs, outputs], or the last two exchanged.

    It is a 1x1 convolution of the kernels' nine values, which ONNX Runtime computes once, when it
    loads the graph. Stored in the file, the result would be n * n / 9 times as large.
    """
    axes = (2, 3, 0, 1) if layout.weights_left else (2, 3, 1, 0)
    kernels = weights.transpose(axes)
    values = builder.constant(kernels.reshape(1, KERNEL**2, *kernels.shape[2:]))
    g = transform(layout.tile).weight
    both = np.kron(g, g).astype(np.float32)[:, :, None, None]
    return builder.node("Conv", values, builder.constant(both))


def _product(builder: GraphBuilder, value: str, kernels: str, layout: WinogradLayout) -> str:
    if not layout.weights_left:
        return builder.node("MatMul", value, kernels)
    # ONNX Runtime fuses the transposition with the product.
    return builder.node("MatMul", kernels, builder.node("Transpose", value, perm=[0, 1, 3, 2]))


def _strips(count: int, strips: int) -> list[range]:
    bounds = np.linspace(0, count, min(strips, count) + 1).round().astype(int).tolist()
    return [range(start, stop) for start, stop in pairwise(bounds)]


def _shift_through(maps: Sequence[Rows], weights: Weights) -> Vector:
    """Return the sum that the shift of the maps adds to each output."""
    shift = np.concatenate([rows.shift for rows in maps])
    return weights.astype(np.float64).sum(axis=(2, 3)) @ shift  # type: ignore[no-any-return]


def convolve_direct(
    builder: GraphBuilder,
    batch: str,
    maps: Sequence[Rows],
    weights: Weights,
    bias: Vector,
    stride: Size,
    before: Size,
    output: Size,
) -> Rows:
    """Convolve maps, joined along their channels, as one product with their patches.

    Args:
        weights: [outputs, inputs, height, width].
        before: the padding above and to the left.
        output: the size of the output.
    """
    kernel: Size = (weights.shape[2], weights.shape[3])
    matrix = weights.transpose(2, 3, 1, 0).reshape(-1, weights.shape[0])
    name = builder.constant(matrix)
    through = _shift_through(maps, weights)
    if len(maps) == 1 and kernel == stride == (1, 1) and output == maps[0].size:
        parts = [RowPart(builder.node("MatMul", p.name, name), p.order) for p in maps[0].parts]
        return shifted_by(builder, parts, output, bias, through)
    order = raster(output)
    seen = patches(maps[0].size, kernel, stride, before, output, order)
    value = builder.reshape(gather_pixels(builder, batch, maps, seen), len(order), matrix.shape[0])
    product = RowPart(builder.node("MatMul", value, name), order)
    return shifted_by(builder, [product], output, bias, through)


def upsample(builder: GraphBuilder, rows: Rows, weights: Weights, bias: Vector) -> Rows:
    """Double the height and width by a 2x2 transposed convolution of stride 2.

    Args:
        weights: [inputs, outputs, 2, 2].
    """
    # The shift would differ between the four pixels.
    plain = unshifted(builder, rows)
    outputs = weights.shape[1]
    name = builder.constant(weights.transpose(0, 2, 3, 1).reshape(-1, 4 * outputs))
    parts = []
    for part in plain.parts:
        value = builder.node("MatMul", part.name, name)
        value = builder.reshape(value, 4 * len(part.order), outputs)
        parts.append(RowPart(value, doubled(part.order, rows.size)))
    return Rows(tuple(parts), (2 * rows.size[0], 2 * rows.size[1]), bias)


def relu(builder: GraphBuilder, rows: Rows) -> Rows:
    """Return max(x + shift, 0) as max(x, -shift), to which the shift is still to be added."""
    floor = builder.constant((-rows.shift).astype(np.float32))
    parts = tuple(RowPart(builder.node("Max", part.name, floor), part.order) for part in rows.parts)
    return Rows(parts, rows.size, rows.shift)


def add(builder: GraphBuilder, batch: str, first: Rows, second: Rows) -> Rows:
    """Add two maps, in the order of the first."""
    parts = []
    aligned = _same_orders(first, second)
    for index, part in enumerate(first.parts):
        value = (
            second.parts[index].name
            if aligned
            else gather_pixels(builder, batch, [second], part.order)
        )
        parts.append(RowPart(builder.node("Add", part.name, value), part.order))
    return Rows(tuple(parts), first.size, first.shift + second.shift)


def _same_orders(first: Rows, second: Rows) -> bool:
    return len(first.parts) == len(second.parts) and all(
        np.array_equal(p.order, q.order) for p, q in zip(first.parts, second.parts, strict=True)
    )


def max_pool(builder: GraphBuilder, batch: str, rows: Rows) -> Rows:
    """Halve the height and width by the maximum of 2x2 pixels."""
    half = (rows.size[0] // 2, rows.size[1] // 2)
    split = [halved(part.order, rows.size) for part in rows.parts]
    parts = []
    for part, halves in zip(rows.parts, split, strict=True):
        if halves is None:
            fours = gather_pixels(builder, batch, [rows], quarters(rows.size))
            whole = RowPart(_maximum(builder, fours, 4), raster(half))
            return Rows((whole,), half, rows.shift)
        a, order = halves
        length = len(order) // a * rows.channels
        axis = builder.constant(np.array([2], np.int64))
        pairs = builder.reshape(part.name, 2 * a, 2, length)
        value = builder.node("ReduceMax", pairs, axis, keepdims=0)
        value = _maximum(builder, builder.reshape(value, 2, a * length), 2)
        parts.append(RowPart(builder.reshape(value, len(order), rows.channels), order))
    return Rows(tuple(parts), half, rows.shift)


def _maximum(builder: GraphBuilder, value: str, count: int) -> str:
    """Return the maximum along the first axis after the batch.

    ONNX Runtime's ReduceMax takes three times as long here: it is only fast with another axis
    before the reduced one.
    """
    places = (builder.constant(np.array(index, np.int64)) for index in range(count))
    return builder.node("Max", *(builder.node("Gather", value, p, axis=1) for p in places))
