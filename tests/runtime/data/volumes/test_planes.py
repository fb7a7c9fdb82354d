"""Planes of a volume."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.data.volumes.gray import Plane
from runtime.data.volumes.nifti import read_nifti, write_nifti
from runtime.data.volumes.volume import Volume
from tests.runtime.data.volumes.test_nifti import SHAPE, Floats, pictures

nib = pytest.importorskip("nibabel")


ORIENTATIONS = [
    (axes, signs)
    for axes in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")


def affine_of(
    axes: tuple[int, ...],
    signs: tuple[int, ...],
    zooms: Floats,
    angles: Floats,
) -> Floats:
    """Return an affine whose stored axis i runs along `signs[i]` times the axis `axes[i]` of RAS+,
    turned about the three axes by small angles."""
    turned = np.eye(3)
    for axis, angle in enumerate(angles):
        first, second = (other for other in range(3) if other != axis)
        turn = np.eye(3)
        turn[[first, second], [first, second]] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        turned = turn @ turned
    affine = np.eye(4)
    for column, (axis, sign, zoom) in enumerate(zip(axes, signs, zooms, strict=True)):
        affine[:3, column] = turned[:, axis] * sign * zoom
    affine[:3, 3] = 10.5, -20.25, 3.0
    return affine


def test_slices_and_results_keep_their_place_in_all_48_orientations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda handle: None)  # hundreds of files
    rng = np.random.default_rng(20)
    voxels = np.arange(60, dtype=np.float32).reshape(SHAPE) / 64
    path = tmp_path / "head.nii"
    for axes, signs in ORIENTATIONS:
        zooms, angles = rng.uniform(0.2, 8.0, 3), rng.uniform(-0.25, 0.25, 3)
        path.write_bytes(nib.Nifti1Image(voxels, affine_of(axes, signs, zooms, angles)).to_bytes())
        image = nib.load(path)
        for plane in PLANES:
            volume = read_nifti(path, plane)
            np.testing.assert_array_equal(volume.voxels, pictures(image, plane))
            assert_same_places(volume, image)
            assert sorted(volume.spacing or ()) == pytest.approx(sorted(zooms))
            results = write_nifti(volume, volume.voxels, 0.5, tmp_path / "out")
            for file, expected in zip(results, (voxels, voxels >= 0.5), strict=True):
                answer = nib.load(file)
                np.testing.assert_array_equal(np.asarray(answer.dataobj), expected)
                np.testing.assert_array_equal(answer.affine, image.affine)
                for field in ("sform_code", "qform_code", "pixdim", "xyzt_units", "quatern_b"):
                    np.testing.assert_array_equal(answer.header[field], image.header[field])


def assert_same_places(volume: Volume, image: Any) -> None:
    """Compare the place of each voxel, which its value tells, in the slices and in the file."""
    stored = np.array(np.unravel_index((volume.voxels.ravel() * 64).astype(int), SHAPE)).T
    indices = np.argwhere(np.ones(volume.shape))
    places = nib.affines.apply_affine(volume.affine, indices)
    np.testing.assert_allclose(places, nib.affines.apply_affine(image.affine, stored), atol=1e-9)
