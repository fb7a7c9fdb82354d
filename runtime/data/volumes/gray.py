"""The one rule by which a volume's slices become 8-bit gray images, for import and prediction.

It is recorded in the data set (`info.volumes` of its COCO files) and in the exported file
(`input.volumes`), because a network's scores hold only for images made by the same rule. The range
that becomes black to white is one for the whole volume: slices of one volume stay comparable.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from runtime.core.errors import ImageError
from runtime.core.progress import ProgressCallback, report_progress
from runtime.data.volumes.spec import Plane as Plane, VolumeSpec as VolumeSpec
from runtime.data.volumes.volume import Volume

_HALF = 1 << 16


def gray_slices(
    volume: Volume, spec: VolumeSpec, on_progress: ProgressCallback | None = None
) -> Callable[[int], NDArray[np.uint8]]:
    """Return a function that reads slice i as a gray image, uint8 [rows, columns].

    A voxel becomes 255 (v - low) / (high - low), rounded, and clipped to 0 to 255. Where low values
    are white, it becomes the rest to 255. NaN is black. Percentiles read the whole volume twice.

    Args:
        on_progress: called after each slice that percentiles read, with numbers of slices.

    Raises:
        ImageError: the volume has no finite voxel to take percentiles of.

    Example:
        >>> from runtime.data.volumes.volume import volume_of
        >>> volume = volume_of(np.array([[[0, 5, 10, np.nan]]], np.float32))
        >>> gray_slices(volume, VolumeSpec(range="window", low=0, high=10))(0).tolist()
        [[0, 128, 255, 0]]
    """
    if spec.range == "stated" and volume.levels is not None:
        return volume.levels
    low, high = spec.low, spec.high
    if spec.range != "window":
        found = percentiles(lambda: _reported(volume, on_progress), (low, high))
        if found is None:
            raise ImageError(f"{volume.source}: no voxel has a finite value")
        low, high = found
    if volume.inverted:
        return lambda index: to_gray(-volume.read(index), -high, -low)
    return lambda index: to_gray(volume.read(index), low, high)


def _reported(
    volume: Volume, on_progress: ProgressCallback | None
) -> Iterator[NDArray[np.float32]]:
    """Yield the slices of a volume, and report each."""
    for index, values in enumerate(volume.slices()):
        yield values
        report_progress(on_progress, "read", index + 1, volume.shape[0])


def to_gray(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.uint8]:
    """Return values as levels: `low` and less are 0, `high` and more are 255, NaN is 0.

    Example:
        >>> to_gray(np.array([-1, 1, 3, np.inf], np.float32), 0.0, 2.0).tolist()
        [0, 128, 255, 255]
    """
    if high <= low:  # a volume of one value
        return np.asarray(values > low, np.uint8) * np.uint8(255)
    levels = values.astype(np.float64)
    levels -= low
    levels /= high - low
    np.clip(levels, 0.0, 1.0, out=levels)
    levels[np.isnan(levels)] = 0.0
    levels *= 255.0
    return np.rint(levels, out=levels).astype(np.uint8)


def percentiles(
    slices: Callable[[], Iterator[NDArray[np.float32]]], wanted: tuple[float, float]
) -> tuple[float, float] | None:
    """Return two percentiles of all finite values: the smallest value that so many do not exceed.

    They are exact, as `numpy.percentile(..., method="inverted_cdf")`, but need no copy of the
    values: a first pass counts the upper 16 bits of each, a second one the lower 16 bits of those
    whose upper bits are the percentile's.

    Args:
        slices: returns all slices, float32; it is called twice.
        wanted: in 0 to 100.

    Returns:
        None where no value is finite.

    Example:
        >>> values = np.arange(101, dtype=np.float32)
        >>> percentiles(lambda: iter([values]), (0.0, 50.0))
        (0.0, 50.0)
    """
    upper = np.zeros(_HALF, np.int64)
    for values in slices():
        upper += np.bincount(_ordered_bits(values) >> 16, minlength=_HALF)
    total = int(upper.sum())
    if not total:
        return None
    ranks = [min(max(int(np.ceil(total * share / 100)), 1), total) for share in wanted]
    ends = np.cumsum(upper)
    bins = [int(np.searchsorted(ends, rank)) for rank in ranks]
    lower = {bin_: np.zeros(_HALF, np.int64) for bin_ in bins}
    for values in slices():
        bits = _ordered_bits(values)
        for bin_, counts in lower.items():
            counts += np.bincount(bits[bits >> 16 == bin_] & 0xFFFF, minlength=_HALF)
    found = [
        _value(bin_, int(np.searchsorted(np.cumsum(lower[bin_]), rank - ends[bin_] + upper[bin_])))
        for bin_, rank in zip(bins, ranks, strict=True)
    ]
    return found[0], found[1]


def _ordered_bits(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Return the finite values as integers in the same order.

    A float's bits are its order where it is positive, and the reverse where it is negative.
    """
    finite = np.isfinite(values)
    known = values.ravel() if finite.all() else values[finite]
    bits = (known + np.float32(0.0)).view(np.uint32)  # -0 becomes 0
    # All bits of a negative value are inverted, and the sign of another one.
    bits ^= (bits.view(np.int32) >> 31).view(np.uint32) | np.uint32(1 << 31)
    return bits


def _value(upper: int, lower: int) -> float:
    """Return the value of ordered bits."""
    ordered = np.uint32(upper << 16 | lower)
    bits = ordered & np.uint32(0x7FFFFFFF) if ordered >> 31 else ~ordered
    return float(np.array([bits], np.uint32).view(np.float32)[0])
