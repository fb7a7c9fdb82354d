"""Slices that are decoded once, from several threads, and without space for their file."""

import tempfile
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from runtime.core.workers import map_ahead
from runtime.data.volumes.mapped import DecodedOnce

SLICES: NDArray[np.float32] = np.random.default_rng(22).random((9, 5, 7), np.float32)


def test_each_slice_is_decoded_once_and_the_same_from_every_thread() -> None:
    decoded: list[int] = []

    def decode(index: int) -> NDArray[np.float32]:
        decoded.append(index)
        turned: NDArray[np.float32] = SLICES[index].T
        return turned

    read = DecodedOnce(decode)
    wanted = np.random.default_rng(1).permutation(9).tolist()
    for _ in range(2):
        for index, found in zip(wanted, map_ahead(read, wanted, workers=4, ahead=4), strict=True):
            assert np.array_equal(found, SLICES[index].T)
    assert sorted(decoded) == list(range(9))


def test_without_space_slices_are_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    fresh = iter([SLICES[3], SLICES[4]])
    read = DecodedOnce(lambda index: next(fresh))
    assert np.array_equal(read(0), SLICES[3])
    assert np.array_equal(read(0), SLICES[4])
