"""From the stored pixels of a DICOM image to its values, and to the gray levels that it asks for.

The order is that of the standard (PS3.4 N.2): the modality's transformation (a lookup table, or
slope and intercept), then the window or lookup table of the values of interest (VOI), and the
inversion of MONOCHROME1 last (PS3.3 C.7.6.3, C.11.1, C.11.2).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Level = TypeVar("Level", bound=np.generic)
Doubles = NDArray[np.float64]
WindowFunction = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]


@dataclass(frozen=True, slots=True, eq=False)
class LookupTable:
    """A lookup table: input `first + i` becomes `outputs[i]`; inputs beyond take the nearest end.

    Example:
        >>> LookupTable(10, np.array([0.0, 0.5, 1.0]))(np.array([9, 11, 40])).tolist()
        [0.0, 0.5, 1.0]
    """

    first: int
    outputs: Doubles

    def __call__(self, values: NDArray[Any]) -> Doubles:
        """Return the output of each value; a fraction of a value is cut off."""
        index = np.floor(values).astype(np.int64) - self.first
        found: Doubles = self.outputs[np.clip(index, 0, len(self.outputs) - 1)]
        return found


@dataclass(frozen=True, slots=True)
class Rescale:
    """A linear transformation of stored values.

    Example:
        >>> Rescale(2.0, -1000.0)(np.array([0, 500])).tolist()
        [-1000.0, 0.0]
    """

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, values: NDArray[Any]) -> Doubles:
        """Return the values, float64."""
        scaled: Doubles = values.astype(np.float64) * self.slope + self.intercept
        return scaled


@dataclass(frozen=True, slots=True)
class Window:
    """A window of values that become gray, by the function that the image states.

    Example:
        >>> Window(40.0, 400.0)(np.array([-160.0, 39.5, 240.0])).tolist()
        [0.0, 0.5, 1.0]
    """

    center: float
    width: float
    function: WindowFunction = "LINEAR"

    @property
    def usable(self) -> bool:
        """True if the width is one that the function allows."""
        least = 1.0 if self.function == "LINEAR" else np.nextafter(0.0, 1.0)
        return bool(np.isfinite(self.center) and least <= self.width < np.inf)

    def __call__(self, values: NDArray[Any]) -> Doubles:
        """Return the share of white of each value, float64 in [0, 1]."""
        center, width = self.center, self.width
        if self.function == "SIGMOID":
            with np.errstate(over="ignore"):
                shares: Doubles = 1.0 / (1.0 + np.exp(-4.0 * (values - center) / width))
            return shares
        if self.function == "LINEAR":
            center, width = center - 0.5, width - 1.0
        if width == 0.0:
            return np.asarray(values > center, np.float64)
        shares = (values - center) / width + 0.5
        return shares.clip(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class ValueRule:
    """How the stored pixels of an image become values and gray levels.

    Attributes:
        modality: from stored pixels to values, such as Hounsfield units.
        interest: from values to shares of white in [0, 1]; None where the image states none.
        inverted: whether the lowest value is white (MONOCHROME1).
        padding: lowest and highest stored value that stand for no value.
    """

    modality: LookupTable | Rescale = Rescale()
    interest: LookupTable | Window | None = None
    inverted: bool = False
    padding: tuple[int, int] | None = None

    def values(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """Return values of stored pixels, integers; float32, and NaN where there is none.

        Example:
            >>> rule = ValueRule(Rescale(1.0, -1024.0), padding=(0, 0))
            >>> rule.values(np.array([0, 1024])).tolist()
            [nan, 0.0]
        """
        return _mapped(stored, lambda pixels: self._values(pixels).astype(np.float32))

    def levels(self, stored: NDArray[Any]) -> NDArray[np.uint8]:
        """Return gray levels of stored pixels as the image asks for; without a value, black.

        Raises:
            ValueError: the image states no window.

        Example:
            >>> rule = ValueRule(interest=Window(5.0, 11.0), inverted=True, padding=(99, 99))
            >>> rule.levels(np.array([0, 10, 99])).tolist()
            [242, 0, 0]
        """
        return _mapped(stored, self._levels)

    def _values(self, stored: NDArray[Any]) -> Doubles:
        values = self.modality(stored)
        if self.padding is not None:
            low, high = self.padding
            values = np.where((stored >= low) & (stored <= high), np.nan, values)
        return values

    def _levels(self, stored: NDArray[Any]) -> NDArray[np.uint8]:
        if self.interest is None:
            raise ValueError("the image states no window")
        values = self._values(stored)
        known = np.isfinite(values)
        shares = self.interest(np.where(known, values, 0.0))
        if self.inverted:
            shares = 1.0 - shares
        return np.asarray(np.rint(255.0 * np.where(known, shares, 0.0)), np.uint8)


def _mapped(
    stored: NDArray[Any], convert: Callable[[NDArray[Any]], NDArray[Level]]
) -> NDArray[Level]:
    """Return the converted pixels; each value that may occur is converted once, if they are few."""
    low, high = int(stored.min()), int(stored.max())
    if high - low >= stored.size:
        return convert(stored)
    converted: NDArray[Level] = convert(np.arange(low, high + 1))
    pixels: NDArray[Level] = converted[np.subtract(stored, low, dtype=np.intp)]
    return pixels
