"""Which form of a 3x3 convolution is fastest, by its shape."""

from dataclasses import dataclass
from enum import StrEnum

from export.winograd.layers import Plan
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


class Form(StrEnum):
    """How a 3x3 convolution is computed."""

    DIRECT = "direct"
    F2 = "F(2x2,3x3)"
    F4 = "F(4x4,3x3)"
    F6 = "F(6x6,3x3)"

    @property
    def tile(self) -> int:
        """The pixels on a side of an output tile; 0 for direct convolution."""
        return 0 if self is Form.DIRECT else int(self.value[2])


@dataclass(frozen=True, slots=True)
class Shape:
    """A 3x3 convolution with stride 1 and padding 1: channels, and the size of its maps."""

    inputs: int
    outputs: int
    size: Size


def choose(shape: Shape) -> Form:
    """Return the form that costs the least time by `milliseconds`, and memory by `WORTH_MB`.

    Memory decides where maps are small and channels many: at 16x16 the weights of F(4x4,3x3) are
    2.25 times those of F(2x2,3x3), and what they save in products is lost where they are read from
    main memory. By this rule full-width networks at 256x256 took 1 % more time (`scratch`) and 2 to
    5 % (`resnet50`), on two cores of a Xeon (AVX-512), and at their peak 621 MB instead of 747, and
    817 instead of 1125.
    """

    def cost(form: Form) -> float:
        return milliseconds(shape, form) + 4e-6 * _kernels(shape, form) / WORTH_MB

    return min(Form, key=cost)


def milliseconds(shape: Shape, form: Form) -> float:
    """Estimate what a convolution of one image takes one core.

    The four rates were fitted to 10 shapes, 16 to 1024 channels at 256x256 to 16x16, each as a
    graph of one layer in ONNX Runtime 1.32, one thread of an AMD EPYC (Zen 4, AVX-512, 32 MiB of
    L3 cache, shared). It is within 30 % of what these took, and chooses the fastest form or one
    within 5 % of it. Boundaries to maps in the usual layout are not counted.
    """
    height, width = shape.size
    kernels = _kernels(shape, form)
    if form is Form.DIRECT:
        return height * width * kernels / DIRECT_MACS
    places = (form.tile + KERNEL - 1) ** 2
    tiles = _tiles(shape, form)
    # As the right factor the tiles are padded to whole blocks.
    columns = -(-tiles // BLOCK) * BLOCK if tiles <= FEW_TILES else tiles
    return (
        kernels * columns / PRODUCT_MACS
        + places * tiles * (shape.inputs + shape.outputs) / MOVED
        + places * tiles / GATHERED
        + kernels / READ
    )


def plan(shape: Shape, form: Form) -> Plan:
    """Return how a convolution is laid out in a form other than direct.

    A strip is as high as keeps its largest value within `STRIP_BYTES`, but has so many tiles that
    packing the weights anew for each strip costs little beside their product.
    """
    rows, columns = (tiles_along(length, form.tile) for length in shape.size)
    if rows * columns <= FEW_TILES:
        return Plan(form.tile, weights_left=True)
    places = (form.tile + KERNEL - 1) ** 2
    row_bytes = 4 * places * columns * max(shape.inputs, shape.outputs)
    height = max(STRIP_BYTES // row_bytes, shape.outputs // (2 * columns), 1)
    return Plan(form.tile, -(-rows // height))


def _kernels(shape: Shape, form: Form) -> int:
    """Return how many weights a form has, transformed."""
    side = KERNEL if form is Form.DIRECT else form.tile + KERNEL - 1
    return side**2 * shape.inputs * shape.outputs


def _tiles(shape: Shape, form: Form) -> int:
    return tiles_along(shape.size[0], form.tile) * tiles_along(shape.size[1], form.tile)
