"""NIfTI files in and out: every orientation, scaling, missing values, files that are refused."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from runtime.core.errors import ImageError
from runtime.data.volumes.gray import Plane
from runtime.data.volumes.nifti import is_nifti_result, read_nifti, write_nifti

nib = pytest.importorskip("nibabel")

Floats = NDArray[np.float64]

SHAPE = (3, 4, 5)


def pictures(image: Any, plane: Plane) -> NDArray[np.float32]:
    """Return the slices of a plane, by nibabel alone."""
    data = np.asarray(nib.as_closest_canonical(image).dataobj, np.float32)
    back, left, feet = data[:, ::-1], data[::-1], data[:, :, ::-1]
    assert back.shape == left.shape == feet.shape
    if plane == "axial":
        return data[::-1, ::-1].transpose(2, 1, 0)
    if plane == "coronal":
        return data[::-1, ::-1, ::-1].transpose(1, 2, 0)
    return data[:, ::-1, ::-1].transpose(0, 2, 1)


def saved(path: Path, voxels: NDArray[Any], affine: Floats) -> Any:
    image = nib.Nifti1Image(voxels, affine)
    nib.save(image, path)
    return nib.load(path)


@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i2", "<u2", ">f4", "<f8", "<i8", "<u4"])
@pytest.mark.parametrize("kind", ["Nifti1Image", "Nifti2Image"])
def test_values_are_those_that_nibabel_reads(tmp_path: Path, dtype: str, kind: str) -> None:
    order = ">" if dtype.startswith(">") else "<"
    header = getattr(nib, kind).header_class(endianness=order)
    header.set_data_dtype(dtype)
    voxels = (np.arange(60).reshape(SHAPE) * 2).astype(dtype)
    image = getattr(nib, kind)(voxels, np.diag([1.0, 1, 3, 1]), header)
    for name in ("a.nii", "b.nii.gz"):
        nib.save(image, tmp_path / name)
        slices = read_nifti(tmp_path / name, "axial").voxels
        np.testing.assert_array_equal(slices, pictures(nib.load(tmp_path / name), "axial"))


def test_the_scaling_of_a_file_is_applied_and_does_not_reach_its_results(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.arange(60, dtype=np.int16).reshape(SHAPE), np.eye(4))
    image.header.set_slope_inter(2.5, -1024.0)
    content = bytearray(image.to_bytes())
    content[112:120] = struct.pack("<2f", 2.5, -1024.0)
    path = tmp_path / "ct.nii"
    path.write_bytes(content)
    volume = read_nifti(path, "axial")
    loaded = nib.load(path)
    assert float(np.asarray(loaded.dataobj).min()) == -1024.0
    np.testing.assert_array_equal(volume.voxels, pictures(loaded, "axial"))
    probability = np.full(volume.shape, 0.25, np.float32)
    (written,) = write_nifti(volume, probability, None, tmp_path / "out")
    assert np.unique(np.asarray(nib.load(written).dataobj)).tolist() == [0.25]


def test_a_voxel_without_a_value_stays_one(tmp_path: Path) -> None:
    voxels = np.ones(SHAPE, np.float32)
    voxels[0, 0, 0], voxels[1, 1, 1] = np.nan, np.inf
    saved(tmp_path / "a.nii.gz", voxels, np.eye(4))
    slices = read_nifti(tmp_path / "a.nii.gz", "axial").voxels
    assert np.isnan(slices).sum() == np.isinf(slices).sum() == 1


def test_one_of_several_volumes_is_chosen_by_its_number(tmp_path: Path) -> None:
    voxels = np.arange(120, dtype=np.int16).reshape((*SHAPE, 2))
    path = tmp_path / "bold.nii.gz"
    saved(path, voxels, np.eye(4))
    message = rf"^{path}: a file of 2 volumes, of which only one can be used; choose it with --vol"
    with pytest.raises(ImageError, match=message):
        read_nifti(path, "axial")
    with pytest.raises(ImageError, match=rf"^{path}: no volume 3, the volumes are 1 to 2$"):
        read_nifti(path, "axial", 3)
    second = read_nifti(path, "axial", 2)
    assert second.name == "bold_2"
    expected = pictures(nib.Nifti1Image(voxels[..., 1], np.eye(4)), "axial")
    np.testing.assert_array_equal(second.voxels, expected)
    (written,) = write_nifti(second, second.voxels, None, tmp_path / "out")
    assert nib.load(written).shape == SHAPE


def test_results_are_known_and_equal_byte_by_byte(tmp_path: Path) -> None:
    saved(tmp_path / "a.nii.gz", np.zeros(SHAPE, np.uint8), np.eye(4))
    volume = read_nifti(tmp_path / "a.nii.gz", "axial")
    results = [
        write_nifti(volume, np.zeros(volume.shape, np.float32), 0.5, tmp_path / name)
        for name in ("b", "c")
    ]
    assert [path.name for path in results[0]] == ["b.probability.nii.gz", "b.mask.nii.gz"]
    for first, second in zip(*results, strict=True):
        assert first.read_bytes() == second.read_bytes()
        assert is_nifti_result(first)
    assert not is_nifti_result(tmp_path / "a.nii.gz")
    assert not is_nifti_result(tmp_path / "absent.nii")


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"expected a NIfTI file, found no file$"):
        read_nifti(tmp_path / "absent.nii", "axial")
    with pytest.raises(ImageError, match=r"expected a NIfTI file, found a folder$"):
        read_nifti(tmp_path, "axial")
