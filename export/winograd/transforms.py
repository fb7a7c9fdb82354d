"""The matrices of Winograd's minimal filtering, F(m x m, 3x3)."""

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np
from numpy.polynomial import polynomial
from numpy.typing import NDArray

KERNEL = 3
# The points, apart from infinity, at which the polynomials are evaluated.
POINTS = MappingProxyType(
    {
        2: (0.0, 1.0, -1.0),
        4: (0.0, 1.0, -1.0, 2.0, -2.0),
        6: (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5),
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Transform:
    """The three matrices of F(m x m, 3x3), with n = m + 2.

    The output tile Y, m x m, of an input tile d, n x n, and a kernel g, 3x3, is
    Y = A^T [(G g G^T) * (B^T d B)] A, where * multiplies element by element
    (Lavin, Gray: Fast Algorithms for Convolutional Neural Networks, 2016, equation 8).

    Attributes:
        tile: m, the side of an output tile in pixels.
        output: A^T, float64 [m, n].
        weight: G, float64 [n, 3].
        input: B^T, float64 [n, n].
    """

    tile: int
    output: NDArray[np.float64]
    weight: NDArray[np.float64]
    input: NDArray[np.float64]

    @property
    def window(self) -> int:
        """The side of an input tile in pixels, n."""
        return self.tile + KERNEL - 1


@cache
def transform(tile: int) -> Transform:
    """Return the matrices of F(tile x tile, 3x3), by the Cook-Toom construction.

    Row j of G holds the powers of point p_j, divided by the product of (p_j - p_l), l != j. Row j
    of B^T holds the coefficients of the product of (x - p_l), l != j. Column j of A^T holds the
    powers of p_j. The last row or column stands for infinity. For m = 2 and 4 the matrices are
    Lavin and Gray's, except that some rows of both B^T and G have the opposite sign.

    Example:
        >>> t, d, g = transform(2), np.arange(16.0).reshape(4, 4), np.ones((3, 3))
        >>> t.output @ ((t.weight @ g @ t.weight.T) * (t.input @ d @ t.input.T)) @ t.output.T
        array([[45., 54.],
               [81., 90.]])
        >>> d[:3, :3].sum(), d[1:, 1:].sum()  # direct convolution, first and last pixel
        (np.float64(45.0), np.float64(90.0))
    """
    points = np.array(POINTS[tile])
    others = [np.delete(points, index) for index in range(len(points))]
    window = len(points) + 1
    output, weight = np.zeros((tile, window)), np.zeros((window, KERNEL))
    inputs = np.zeros((window, window))
    output[:, :-1] = points ** np.arange(tile)[:, None]
    output[-1, -1] = weight[-1, -1] = 1.0
    inputs[-1] = polynomial.polyfromroots(points)
    for index, (point, rest) in enumerate(zip(points, others, strict=True)):
        weight[index] = point ** np.arange(KERNEL) / np.prod(point - rest)
        inputs[index, :-1] = polynomial.polyfromroots(rest)
    for matrix in (output, weight, inputs):
        matrix.flags.writeable = False
    return Transform(tile, output, weight, inputs)
