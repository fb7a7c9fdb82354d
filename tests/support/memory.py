"""How much memory a process holds, and whether it grows."""

import os
from itertools import combinations
from pathlib import Path
from statistics import median

import pytest

_STATM = Path("/proc/self/statm")


class Growth:
    """Samples this process's resident memory as work goes on.

    Args:
        every: samples are this many items apart.
        after: items before the first sample, in which pools and caches fill.
    """

    def __init__(self, *, every: int, after: int) -> None:
        if not _STATM.exists():
            pytest.skip("only Linux tells a process's memory in /proc")
        self._every = every
        self._after = after
        self._samples: list[tuple[int, int]] = []

    def __call__(self, done: int, _: int = 0) -> None:
        """Take a sample if it is time to."""
        if done >= self._after and done % self._every == 0:
            pages = int(_STATM.read_text().split()[1])
            self._samples.append((done, pages * os.sysconf("SC_PAGE_SIZE")))

    @property
    def slope(self) -> float:
        """Bytes an item: the median over all pairs of samples (Theil 1950, Sen 1968).

        A step, as when an allocator asks for more once, hardly moves it.
        """
        return median((b - a) / (n - m) for (m, a), (n, b) in combinations(self._samples, 2))
