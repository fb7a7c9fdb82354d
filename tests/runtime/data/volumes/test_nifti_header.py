"""Headers of NIfTI files: units, and what is refused."""

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.core.errors import ImageError
from runtime.data.volumes import nifti, nifti_header
from runtime.data.volumes.nifti import read_nifti
from tests.runtime.data.volumes.test_nifti import SHAPE, saved

nib = pytest.importorskip("nibabel")


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
