"""Volumes whose labels are volumes of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.data.imports.source import UnusableScanError
from runtime.data.volumes.nifti import read_nifti
from runtime.data.volumes.spec import Plane
from runtime.data.volumes.volume import Volume


@dataclass(frozen=True, slots=True)
class LabelFile:
    """A label volume; `level` is the label that its foreground becomes, None for its own levels."""

    path: Path
    level: int | None = None


def open_labeled(
    image: Path, labels: Sequence[LabelFile], number: int | None, plane: Plane
) -> tuple[Volume, Volume]:
    """Open a volume and its labels, and check that both have one grid.

    Args:
        labels: files whose labels are joined; where they overlap, the last one counts.
        number: of a file of several volumes, from 1.

    Raises:
        DataError: a file cannot be read, or lies elsewhere than the volume.
    """
    volume = read_nifti(image, plane, number)
    opened = [read_nifti(label.path, plane) for label in labels]
    for label in opened:
        ensure_same_grid(volume, label)

    def read(index: int) -> NDArray[np.float32]:
        joined = np.zeros(volume.shape[1:], np.float32)
        for label, file in zip(opened, labels, strict=True):
            values = label.read(index)
            present = values != 0
            joined[present] = values[present] if file.level is None else file.level
        return joined

    return volume, Volume(volume.name, labels[0].path, volume.shape, read)


def ensure_same_grid(volume: Volume, labels: Volume) -> None:
    """Raise UnusableScanError unless labels have a volume's shape and lie where it lies.

    Corners may differ by half a voxel, because files are written with rounding. Where one of the
    two states no position, only shapes are compared.
    """
    if volume.shape != labels.shape:
        raise UnusableScanError(
            f"{_sides(volume)} voxels, but the mask {labels.source.name} has {_sides(labels)}",
            "a mask of another size than its image",
        )
    if volume.affine is None or labels.affine is None or volume.spacing is None:
        return
    corners: Any = np.array([(*corner, 1) for corner in np.ndindex(2, 2, 2)], float)
    corners[:, :3] *= np.array(volume.shape) - 1
    apart = np.linalg.norm((corners @ (volume.affine - labels.affine).T)[:, :3], axis=1).max()
    if apart > min(volume.spacing) / 2:
        raise UnusableScanError(
            f"the mask {labels.source.name} is at another place, {apart:.3g} mm away",
            "a mask at another place",
        )


def _sides(volume: Volume) -> str:
    return "x".join(map(str, volume.shape))
