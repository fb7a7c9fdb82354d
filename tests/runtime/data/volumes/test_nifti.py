"""NIfTI files in and out: every orientation, scaling, missing values, files that are refused."""

import gzip
import itertools
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from runtime.core.errors import ImageError
from runtime.data.volumes import nifti, nifti_header
from runtime.data.volumes.gray import Plane
from runtime.data.volumes.nifti import is_nifti_result, read_nifti, write_nifti
from runtime.data.volumes.volume import Volume

nib = pytest.importorskip("nibabel")

Floats = NDArray[np.float64]

SHAPE = (3, 4, 5)
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


@pytest.mark.parametrize(("unit", "mm"), [("meter", 1e-3), ("mm", 1.0), ("micron", 1e3)])
def test_units_become_millimeters_and_an_unstated_place_stays_unknown(
    tmp_path: Path, unit: str, mm: float
) -> None:
    image = nib.Nifti1Image(np.zeros(SHAPE, np.uint8), None)
    image.header["pixdim"][1:4] = 2 * mm, mm, 5 * mm
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "a.nii")
    volume = read_nifti(tmp_path / "a.nii", "axial")
    assert volume.affine is None
    assert volume.spacing == pytest.approx((5.0, 1.0, 2.0))


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


def plain(tmp_path: Path) -> bytearray:
    saved(tmp_path / "sound.nii", np.arange(60, dtype=np.int16).reshape(SHAPE), np.eye(4))
    return bytearray((tmp_path / "sound.nii").read_bytes())


def changed(content: bytearray, offset: int, form: str, *values: Any) -> bytes:
    struct.pack_into(form, content, offset, *values)
    return bytes(content)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda c: b"", "not a NIfTI file"),
        (lambda c: bytes(400), "not a NIfTI file"),
        (lambda c: changed(c, 344, "4s", b"n+9\0"), "not a NIfTI file"),
        (lambda c: changed(c, 344, "4s", b"ni1\0"), "one of a pair of files; convert"),
        (lambda c: bytes(c[:-1]), "truncated, expected 472 bytes, found 471"),
        (lambda c: gzip.compress(c)[:-20], "truncated, the compressed data end too early"),
        (lambda c: gzip.compress(bytes(c[:-1])), "truncated, expected 472 bytes, found 471"),
        (lambda c: gzip.compress(c)[:-8] + bytes(8), "cannot be read: crc check failed"),
        (lambda c: gzip.compress(c + bytes(1 << 21)), "the file continues after the voxels"),
        (lambda c: changed(c, 40, "<5h", 4, 30000, 30000, 2, 1), "expected slices of 1 to"),
        (lambda c: changed(c, 40, "<5h", 4, 8000, 8000, 80, 9), "expected at most 42949672"),
        (lambda c: changed(c, 40, "<4h", 3, 0, 4, 5), "expected slices of 1 to"),
        (lambda c: changed(c, 40, "<4h", 3, -3, 4, 5), "expected slices of 1 to"),
        (lambda c: changed(c, 40, "<h", 99), "expected slices of 1 to"),
        (lambda c: changed(c, 40, "<6h", 5, 3, 4, 5, 1, 3), "expected one value for each voxel"),
        (lambda c: changed(c, 70, "<h", 128), "expected real numbers of up to 64 bits, found d"),
        (lambda c: changed(c, 70, "<h", 32), "expected real numbers of up to 64 bits, found d"),
        (lambda c: changed(c, 70, "<h", 7), "expected real numbers of up to 64 bits, found data"),
        (lambda c: changed(c, 108, "<f", np.nan), "expected voxels from byte 352 on, found nan"),
        (lambda c: changed(c, 108, "<f", 0), "expected voxels from byte 352 on, found 0"),
        (lambda c: changed(c, 112, "<2f", 1, np.inf), "expected a finite scl_inter, found inf"),
        (lambda c: changed(c, 280, "<f", np.nan), "expected voxels of a finite size"),
        (lambda c: changed(c, 280, "<12f", *[1.0] * 12), "expected an affine whose axes are not"),
        (lambda c: changed(c, 252, "<2h3f", 1, 0, 9, 9, 9), "its orientation .qform. cannot be"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_in_a_sentence(tmp_path: Path, change: Any, problem: str) -> None:
    path = tmp_path / "bad.nii.gz"
    path.write_bytes(change(plain(tmp_path)))
    with pytest.raises(ImageError, match=rf"^{path}: {problem}"):
        read_nifti(path, "axial")


def test_a_bomb_is_unpacked_no_further_than_its_header_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = plain(tmp_path)[:352]
    path = tmp_path / "bomb.nii.gz"
    path.write_bytes(gzip.compress(changed(header, 40, "<4h", 3, 300, 300, 300)))
    monkeypatch.setattr(nifti_header, "MAX_BYTES", 1 << 20)
    with pytest.raises(ImageError, match=r"expected at most 1048576 bytes, found 54000352$"):
        read_nifti(path, "axial")
    assert nifti.SUFFIXES


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"expected a NIfTI file, found no file$"):
        read_nifti(tmp_path / "absent.nii", "axial")
    with pytest.raises(ImageError, match=r"expected a NIfTI file, found a folder$"):
        read_nifti(tmp_path, "axial")
