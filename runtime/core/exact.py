"""Exact sums of floats, which depend neither on the order nor on the grouping of the terms.

Every float64 is a whole multiple of 2^-1074, the smallest one. A sum of such multiples is an
integer, which Python computes without rounding. So the sums of parts, computed anywhere and added
in any order, round to the same float.
"""

_DIGITS = 1074
"""Binary digits after the point of the smallest float64."""


def exact(value: float) -> int:
    """Return a finite float as a multiple of 2^-1074; such integers are added without rounding.

    Raises:
        OverflowError, ValueError: `value` is infinite, or not a number.

    Example:
        >>> nearest(exact(1e100) + exact(0.1) + exact(-1e100))
        0.1
    """
    numerator, denominator = value.as_integer_ratio()
    return numerator << (_DIGITS + 1 - denominator.bit_length())


def nearest(total: int) -> float:
    """Return the float that is nearest to a sum of `exact` values.

    Raises:
        OverflowError: the sum is beyond the range of floats.

    Example:
        >>> nearest(sum(exact(0.1) for _ in range(10)))
        1.0
    """
    return total / (1 << _DIGITS)
