"""A bound on what a reader may take."""

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def bounded(mib: int = 64) -> Iterator[None]:
    """Fail where Python and numpy take more than `mib` MiB at once."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < mib << 20, f"{peak >> 20} MiB"
