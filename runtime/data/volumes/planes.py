"""Slices of an anatomical plane, as views of a stored array, and back.

Pictures are oriented as DICOM shows them: rows run to the back (axial) or to the feet, columns to
the patient's left (axial, coronal) or back (sagittal). Slices follow the normal of that picture.
"""

from dataclasses import dataclass
from itertools import permutations
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from runtime.data.volumes.spec import Plane

Level = TypeVar("Level", bound=np.generic)

_DIRECTIONS: dict[Plane, tuple[tuple[int, int], ...]] = {
    "axial": ((2, 1), (1, -1), (0, -1)),
    "coronal": ((1, -1), (2, -1), (0, -1)),
    "sagittal": ((0, 1), (2, -1), (1, -1)),
}
"""Of slices, rows and columns: the axis of RAS+ (right, front, head) and the sign along it."""


@dataclass(frozen=True, slots=True)
class SliceOrder:
    """How slices of a plane are taken from a stored array of three axes.

    Attributes:
        axes: the stored axes of slices, rows and columns.
        flipped: whether slices, rows and columns run against their stored axis.

    Example:
        >>> order = slice_order(np.diag([1.0, 1.0, 5.0, 1.0]), "axial")
        >>> order
        SliceOrder(axes=(2, 1, 0), flipped=(False, True, True))
        >>> order.slices(np.zeros((4, 3, 2))).shape
        (2, 3, 4)
    """

    axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    def slices(self, stored: NDArray[Level]) -> NDArray[Level]:
        """Return a stored array as a view [slices, rows, columns]."""
        view: NDArray[Level] = stored.transpose(self.axes)[self._steps]
        return view

    def stored(self, slices: NDArray[Level]) -> NDArray[Level]:
        """Return an array [slices, rows, columns] as a view in the stored order."""
        back = [self.axes.index(axis) for axis in range(3)]
        view: NDArray[Level] = slices[self._steps].transpose(back)
        return view

    def affine(
        self, stored: NDArray[np.float64], shape: tuple[int, int, int]
    ) -> NDArray[np.float64]:
        """Return the affine of the slices from that of the stored array.

        Args:
            stored: float64 [4, 4].
            shape: of the slices.
        """
        moved = np.zeros((4, 4))
        moved[3, 3] = 1.0
        for column, (axis, flip) in enumerate(zip(self.axes, self.flipped, strict=True)):
            moved[axis, column] = -1.0 if flip else 1.0
            moved[axis, 3] = shape[column] - 1 if flip else 0
        product: NDArray[np.float64] = stored @ moved
        return product

    @property
    def _steps(self) -> tuple[Any, ...]:
        return tuple(slice(None, None, -1 if flip else 1) for flip in self.flipped)


def slice_order(affine: NDArray[np.float64], plane: Plane) -> SliceOrder:
    """Return how slices of a plane are taken from an array, by the axes that are nearest to it.

    Args:
        affine: float64 [4, 4], from indices of the stored array to RAS+; its axes must not be
            parallel.
    """
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    # The stored axis of each anatomical axis: the assignment with the largest cosines.
    nearest = max(
        permutations(range(3)),
        key=lambda axes: sum(abs(directions[row, axis]) for row, axis in enumerate(axes)),
    )
    chosen = [
        (nearest[row], directions[row, nearest[row]] * sign < 0) for row, sign in _DIRECTIONS[plane]
    ]
    (slices, first), (rows, second), (columns, third) = chosen
    return SliceOrder((slices, rows, columns), (bool(first), bool(second), bool(third)))


def spacing_of(affine: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the distances of neighbors along the three axes of an affine.

    Example:
        >>> spacing_of(np.diag([-2.0, 1.0, 5.0, 1.0]))
        (2.0, 1.0, 5.0)
    """
    first, second, third = np.linalg.norm(affine[:3, :3], axis=0).tolist()
    return first, second, third
