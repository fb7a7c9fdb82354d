"""Boxes of COCO files, [x, y, width, height] in pixels: which of them can be used."""

from collections.abc import Iterable

from runtime.core.errors import printable
from runtime.data.orientation import Size
from runtime.data.segmentations import Box, finite_numbers


def numbers_of_box(value: object) -> Box | None:
    """Return the four numbers of a box; None for any other value."""
    numbers = finite_numbers(value)
    if numbers is None or len(numbers) != 4:
        return None
    x, y, width, height = numbers
    return x, y, width, height


def fault_of_box(value: object, box: Box | None, image: Size) -> tuple[str, str] | None:
    """Return why a box is not usable, with and without its values; None for a usable one."""
    if box is None:
        return f"a box of {printable(value, 80)}", "a box that is not four numbers"
    if box[2] <= 0 or box[3] <= 0:
        return f"an empty box, {box[2]:g}x{box[3]:g}", "an empty box"
    if 0.0 in sides_inside(box, image):
        return "a box outside the image", "a box outside the image"
    return None


def sides_inside(box: Box, image: Size) -> tuple[float, float]:
    """Return width and height of the part of a box that is inside the image."""
    x, y, width, height = box
    return (
        max(0.0, min(x + width, image[1]) - max(x, 0.0)),
        max(0.0, min(y + height, image[0]) - max(y, 0.0)),
    )


def are_shares(boxes: Iterable[Box]) -> bool:
    """Return whether all boxes are shares of an image: in 0 to 1, and not whole pixels.

    Example:
        >>> are_shares([(0.2, 0.3, 0.5, 0.25)]), are_shares([(0.0, 0.0, 1.0, 1.0)])
        (True, False)
    """
    numbers = [number for box in boxes for number in box]
    fractions = any(not number.is_integer() for number in numbers)
    return fractions and all(0.0 <= number <= 1.0 for number in numbers)
