"""Confidence levels from scipy's distributions."""

import math

from scipy.stats import norm, t as student


def expanded(level: float, groups: int) -> float:
    """Hesterberg's level, from scipy's distributions."""
    t = student.ppf(0.5 + level / 2.0, groups - 1)
    return float(1.0 - 2.0 * norm.cdf(-math.sqrt(groups / (groups - 1)) * t))
