"""Which form of a 3x3 convolution is fastest, by its shape."""

from dataclasses import dataclass
from enum import StrEnum

from export.winograd.layers import WinogradLayout
from export.winograd.pixel_order import Size, tiles_along
from export.winograd.transforms import KERNEL

DIRECT_MACS = 55e6
"""Multiply-accumulate operations a millisecond of direct convolution."""
PRODUCT_MACS = 45e6
"""The same of the products in place of it."""
MOVED = 1.4e6
"""Values a millisecond through gathering, both transforms and activation."""
GATHERED = 80e3
"""Rows a millisecond that are gathered, whatever their length."""
READ = 9e6
"""Transformed weights a millisecond."""
WORTH_MB = 8.0
"""Megabytes of weights in memory that are worth a millisecond of one core."""
FEW_TILES = 64
"""Up to how many tiles the weights are the left factor."""
BLOCK = 16
"""Columns of a product that are computed at once."""
STRIP_BYTES = 3 * 2**20
"""What a value of a strip may take: about what the caches of a core hold of two."""


class ConvAlgorithm(StrEnum):
    """How a 3x3 convolution is computed."""

    DIRECT = "direct"
    F2 = "F(2x2,3x3)"
    F4 = "F(4x4,3x3)"
    F6 = "F(6x6,3x3)"

    @property
    def tile(self) -> int:
        """The pixels on a side of an output tile; 0 for direct convolution."""
        return 0 if self is ConvAlgorithm.DIRECT else int(self.value[2])


@dataclass(frozen=True, slots=True)
class ConvShape:
    """A 3x3 convolution with stride 1 and padding 1: channels, and the size of its maps."""

    inputs: int
    outputs: int
    size: Size


def choose_algorithm(shape: ConvShape) -> ConvAlgorithm:
    """Return the form that costs the least time by `milliseconds`, and memory by `WORTH_MB`.

    Memory decides where maps are small and channels many: at 16x16 the weights of F(4x4,3x3) are
    2.25 times those of F(2x2,3x3), and what they save in products is lost where they are read from
    main memory. By this rule full-width networks at 256x256 took 1 % more time (`scratch`) and 2 to
    5 % (`resnet50`), on two cores of a Xeon (AVX-512), and at their peak 621 MB instead of 747, and
    817 instead of 1125.
    """

    def cost(algorithm: ConvAlgorithm) -> float:
        return milliseconds(shape, algorithm) + 4e-6 * _kernels(shape, algorithm) / WORTH_MB

    return min(ConvAlgorithm, key=cost)


def milliseconds(shape: ConvShape, algorithm: ConvAlgorithm) -> float:
    """Estimate what a convolution of one image takes one core.

    The four rates were fitted to 10 shapes, 16 to 1024 channels at 256x256 to 16x16, each as a
    graph of one layer in ONNX Runtime 1.32, one thread of an AMD EPYC (Zen 4, AVX-512, 32 MiB of
    L3 cache, shared). It is within 30 % of what these took, and chooses the fastest form or one
    within 5 % of it. Boundaries to maps in the usual layout are not counted.
    """
    height, width = shape.size
    kernels = _kernels(shape, algorithm)
    if algorithm is ConvAlgorithm.DIRECT:
        return height * width * kernels / DIRECT_MACS
    places = (algorithm.tile + KERNEL - 1) ** 2
    tiles = _tiles(shape, algorithm)
    # As the right factor the tiles are padded to whole blocks.
    columns = -(-tiles // BLOCK) * BLOCK if tiles <= FEW_TILES else tiles
    return (
        kernels * columns / PRODUCT_MACS
        + places * tiles * (shape.inputs + shape.outputs) / MOVED
        + places * tiles / GATHERED
        + kernels / READ
    )


def choose_layout(shape: ConvShape, algorithm: ConvAlgorithm) -> WinogradLayout:
    """Return how a convolution is laid out in a form other than direct.

    A strip is as high as keeps its largest value within `STRIP_BYTES`, but has so many tiles that
    packing the weights anew for each strip costs little beside their product.
    """
    rows, columns = (tiles_along(length, algorithm.tile) for length in shape.size)
    if rows * columns <= FEW_TILES:
        return WinogradLayout(algorithm.tile, weights_left=True)
    places = (algorithm.tile + KERNEL - 1) ** 2
    row_bytes = 4 * places * columns * max(shape.inputs, shape.outputs)
    height = max(STRIP_BYTES // row_bytes, shape.outputs // (2 * columns), 1)
    return WinogradLayout(algorithm.tile, -(-rows // height))


def _kernels(shape: ConvShape, algorithm: ConvAlgorithm) -> int:
    """Return how many weights a form has, transformed."""
    side = KERNEL if algorithm is ConvAlgorithm.DIRECT else algorithm.tile + KERNEL - 1
    return side**2 * shape.inputs * shape.outputs


def _tiles(shape: ConvShape, algorithm: ConvAlgorithm) -> int:
    return tiles_along(shape.size[0], algorithm.tile) * tiles_along(shape.size[1], algorithm.tile)
