"""Memory that the C library keeps from one training step for the next."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_NEVER = 2**31 - 1
_USUAL_TRIM_BYTES, _USUAL_MMAP_COUNT = 128 * 1024, 65536


@contextmanager
def kept_memory() -> Iterator[None]:
    """Keep what is freed, instead of giving it back to the system after each use.

    A step allocates the same feature maps as the one before. By default glibc maps an allocation
    of 32 MiB or more, and often smaller ones, anew each time, and the system clears every page of
    it at its first use. At full width and 256x256, batch 4, that were 1.5 million page faults a
    step, and a third of its time. Other C libraries are left as they are.

    At the end glibc's usual values are set (mallopt(3); all but that it moves its thresholds by
    itself), and what is free is given back.
    """
    mallopt = _glibc("mallopt")
    if mallopt is None:
        yield
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        mallopt(_MMAP_MAX, _USUAL_MMAP_COUNT)
        mallopt(_TRIM_THRESHOLD, _USUAL_TRIM_BYTES)
        trim = _glibc("malloc_trim")
        assert trim is not None
        trim(0)


def _glibc(name: str) -> "ctypes._NamedFuncPointer | None":
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), name, None)
