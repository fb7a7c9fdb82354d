"""Arrays in files: their memory is given back after use, so that it stays small."""

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray


def release_pages(array: NDArray[Any]) -> None:
    """Give back the memory of a mapped file that an array is a view of; others are left alone.

    The pages that were read would otherwise count as memory of the process. They are read again
    where they are needed.
    """
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    base = getattr(base, "obj", base)
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)
