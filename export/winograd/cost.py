"""The estimated cost of each algorithm for a 3x3 convolution, and the choice of one."""

from dataclasses import dataclass
from enum import StrEnum

from export.winograd.layers import WinogradLayout
from export.winograd.pixel_order import tiles_along
from export.winograd.transforms import KERNEL
from runtime.data.orientation import Size

DIRECT_MACS = 55e6
"""Multiply-accumulate operations per millisecond of direct convolution."""
PRODUCT_MACS = 45e6
"""Multiply-accumulate operations per millisecond of the products in Winograd convolution."""
MOVED = 1.4e6
"""Values per millisecond through gathering, both transforms and activation."""
GATHERED = 80e3
"""Gathered rows per millisecond, of any length."""
READ = 9e6
"""Transformed weights read per millisecond."""
WORTH_MB = 8.0
"""Megabytes of weights in memory that cost as much as a millisecond of one core."""
FEW_TILES = 64
"""The largest number of tiles for which the weights are the left factor."""
BLOCK = 16
"""Columns of a product that are computed at once."""
STRIP_BYTES = 3 * 2**20
"""The largest size of a value of a strip; the caches of a core hold about two of them."""


class ConvAlgorithm(StrEnum):
    """An algorithm for 3x3 convolutions, direct or Winograd's minimal filtering F(m x m, 3x3).

    Example:
        >>> ConvAlgorithm.F4.tile, ConvAlgorithm.DIRECT.tile
        (4, 0)
    """

    DIRECT = "direct"
    F2 = "F(2x2,3x3)"
    F4 = "F(4x4,3x3)"
    F6 = "F(6x6,3x3)"

    @property
    def tile(self) -> int:
        """The side of an output tile in pixels, m; 0 for direct convolution."""
        return 0 if self is ConvAlgorithm.DIRECT else int(self.value[2])


@dataclass(frozen=True, slots=True)
class ConvShape:
    """A 3x3 convolution with stride 1 and padding 1.

    Attributes:
        inputs, outputs: channels.
        size: height and width of its feature maps.
    """

    inputs: int
    outputs: int
    size: Size


def choose_algorithm(shape: ConvShape) -> ConvAlgorithm:
    """Return the algorithm of the least cost: time by `milliseconds`, and memory by `WORTH_MB`.

    Memory decides where maps are small and channels many. At 16x16 the weights of F(4x4,3x3) take
    2.25 times the memory of those of F(2x2,3x3), and reading them costs the time that fewer
    products save. Measured on full-width networks at 256x256, on two cores of a Xeon (AVX-512):
    `scratch` needs 621 MB at its peak instead of 747 and 1 % more time, `resnet50` 817 MB instead
    of 1125 and 2 to 5 % more time.

    Example:
        >>> choose_algorithm(ConvShape(3, 64, (256, 256))).value
        'direct'
        >>> choose_algorithm(ConvShape(512, 512, (32, 32))).value
        'F(4x4,3x3)'
    """

    def cost(algorithm: ConvAlgorithm) -> float:
        return milliseconds(shape, algorithm) + 4e-6 * _kernels(shape, algorithm) / WORTH_MB

    return min(ConvAlgorithm, key=cost)


def milliseconds(shape: ConvShape, algorithm: ConvAlgorithm) -> float:
    """Return the estimated time of a convolution of one image on one core, in milliseconds.

    The rates were fitted to 10 shapes, 16 to 1024 channels at 256x256 to 16x16. Each was a graph of
    one layer in ONNX Runtime 1.32, on one thread of an AMD EPYC (Zen 4, AVX-512, 32 MiB of shared
    L3 cache). The estimates are within 30 % of the measured times, and choose the fastest algorithm
    or one within 5 % of it. Changes to and from the usual layout of maps are not counted.
    """
    height, width = shape.size
    kernels = _kernels(shape, algorithm)
    if algorithm is ConvAlgorithm.DIRECT:
        return height * width * kernels / DIRECT_MACS
    places = (algorithm.tile + KERNEL - 1) ** 2
    tiles = _tiles(shape, algorithm)
    # As the right factor, the tiles are padded to whole blocks.
    columns = -(-tiles // BLOCK) * BLOCK if tiles <= FEW_TILES else tiles
    return (
        kernels * columns / PRODUCT_MACS
        + places * tiles * (shape.inputs + shape.outputs) / MOVED
        + places * tiles / GATHERED
        + kernels / READ
    )


def choose_layout(shape: ConvShape, algorithm: ConvAlgorithm) -> WinogradLayout:
    """Return the layout of a convolution by a Winograd algorithm.

    A strip is as high as `STRIP_BYTES` allows for its largest value. It always has enough tiles
    that packing the weights again for each strip costs little beside the product.
    """
    rows, columns = (tiles_along(length, algorithm.tile) for length in shape.size)
    if rows * columns <= FEW_TILES:
        return WinogradLayout(algorithm.tile, weights_left=True)
    places = (algorithm.tile + KERNEL - 1) ** 2
    row_bytes = 4 * places * columns * max(shape.inputs, shape.outputs)
    height = max(STRIP_BYTES // row_bytes, shape.outputs // (2 * columns), 1)
    return WinogradLayout(algorithm.tile, -(-rows // height))


def _kernels(shape: ConvShape, algorithm: ConvAlgorithm) -> int:
    """Return the number of weights of an algorithm, after their transform."""
    side = KERNEL if algorithm is ConvAlgorithm.DIRECT else algorithm.tile + KERNEL - 1
    return side**2 * shape.inputs * shape.outputs


def _tiles(shape: ConvShape, algorithm: ConvAlgorithm) -> int:
    return tiles_along(shape.size[0], algorithm.tile) * tiles_along(shape.size[1], algorithm.tile)
