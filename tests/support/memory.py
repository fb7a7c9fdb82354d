"""How much memory a process holds, and whether it grows."""

import os
import tracemalloc
from itertools import combinations
from pathlib import Path
from statistics import median
from types import TracebackType

import pytest

_STATM = Path("/proc/self/statm")


class Growth:
    """Samples this process's memory as work goes on; a context.

    Two measures: what Python and NumPy have allocated, which is exact, and the resident memory, in
    which native code's is too, but which grows only once what was free before is used up.

    Args:
        every: samples are this many items apart.
        after: items before the first sample, in which pools and caches fill.
    """

    def __init__(self, *, every: int, after: int) -> None:
        if not _STATM.exists():
            pytest.skip("only Linux tells a process's memory in /proc")
        self._every = every
        self._after = after
        self._items: list[int] = []
        self._allocated: list[int] = []
        self._resident: list[int] = []

    def __enter__(self) -> "Growth":
        tracemalloc.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        tracemalloc.stop()

    def __call__(self, done: int, _: int = 0) -> None:
        """Take a sample if it is time to."""
        if done >= self._after and done % self._every == 0:
            pages = int(_STATM.read_text().split()[1])
            self._items.append(done)
            self._allocated.append(tracemalloc.get_traced_memory()[0])
            self._resident.append(pages * os.sysconf("SC_PAGE_SIZE"))

    @property
    def slopes(self) -> tuple[float, float]:
        """Bytes an item, allocated and resident: medians over all pairs of samples.

        A step, as when an allocator asks for more once, hardly moves them (Theil 1950, Sen 1968).
        """
        return self._slope(self._allocated), self._slope(self._resident)

    def _slope(self, values: list[int]) -> float:
        points = zip(self._items, values, strict=True)
        return median((b - a) / (n - m) for (m, a), (n, b) in combinations(points, 2))
