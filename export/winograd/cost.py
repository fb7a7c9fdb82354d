"""Which form of a 3x3 convolution is fastest, by its shape."""

from dataclasses import dataclass
from enum import StrEnum

from export.winograd.layers import Plan
from export.winograd.pixel_order import Size, tiles_along
from export.winograd.transforms import KERNEL


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
    """Return the form that takes the least time by `milliseconds`."""
    return min(Form, key=lambda form: milliseconds(shape, form))


def milliseconds(shape: Shape, form: Form) -> float:
    """Estimate the time of a convolution of one image."""
    height, width = shape.size
    if form is Form.DIRECT:
        return 9 * height * width * shape.inputs * shape.outputs / 55e6

    tile = form.tile
    places = (tile + KERNEL - 1) ** 2
    tiles = tiles_along(height, tile) * tiles_along(width, tile)
    macs = places * tiles * shape.inputs * shape.outputs
    moved = places * (tiles * (shape.inputs + shape.outputs) + shape.inputs * shape.outputs)
    return macs / 45e6 + moved / 1e6


def plan(shape: Shape, form: Form) -> Plan:
    """Return how the convolution is laid out in that form."""
    tile = form.tile
    rows, columns = (tiles_along(length, tile) for length in shape.size)
    left = rows * columns <= 64
    window = 4 * (tile + KERNEL - 1) ** 2 * columns * max(shape.inputs, shape.outputs)
    strips = (
        1 if rows * columns * shape.outputs < 64 * 22 * 22 else max(1, round(rows * window / 3e6))
    )
    return Plan(tile, strips if shape.size[0] >= 256 else 1, left)
