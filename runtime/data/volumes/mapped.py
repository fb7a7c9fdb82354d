"""Arrays in files: their memory is given back after use, so that it stays small."""

import contextlib
import mmap
import tempfile
import threading
import weakref
from collections.abc import Callable
from typing import IO, Any

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


class DecodedOnce:
    """Reads slices that take long to decode: each is decoded once, and read again from a file.

    The unnamed temporary file is made at the first slice, and is gone with this object. Where it
    has no space, slices are decoded again. It can be used from several threads.

    Args:
        decode: returns slice i, float32 [rows, columns].

    Example:
        >>> decoded = []
        >>> read = DecodedOnce(lambda i: decoded.append(i) or np.full((1, 2), i, np.float32))
        >>> [read(index).tolist() for index in (4, 7, 4)], decoded
        ([[[4.0, 4.0]], [[7.0, 7.0]], [[4.0, 4.0]]], [4, 7])
    """

    def __init__(self, decode: Callable[[int], NDArray[np.float32]]) -> None:
        self._decode = decode
        self._places: dict[int, tuple[int, tuple[int, ...]]] = {}
        self._file: IO[bytes] | None = None
        self._lock = threading.Lock()

    def __call__(self, index: int) -> NDArray[np.float32]:
        """Return slice i, float32 [rows, columns]."""
        if index in self._places:
            place, shape = self._places[index]
            values = np.empty(shape, np.float32)
            with self._lock:
                assert self._file is not None
                self._file.seek(place)
                self._file.readinto(values)  # type: ignore[attr-defined]
            return values
        values = np.ascontiguousarray(self._decode(index), np.float32)
        with self._lock, contextlib.suppress(OSError):
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115
                weakref.finalize(self, self._file.close)
            place = self._file.seek(0, 2)
            self._file.write(values.data)
            self._file.flush()
            self._places[index] = place, values.shape
        return values
