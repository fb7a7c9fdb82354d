"""DICOM files and series as volumes: pydicom's own test files, and series made here."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from runtime.core.errors import DataWarning, ImageError
from runtime.data.volumes.dicom_images import read_images
from runtime.data.volumes.dicom_pixels import decode
from runtime.data.volumes.dicom_series import is_dicom, read_dicom
from runtime.data.volumes.gray import VolumeSpec, gray_slices
from tests.support.dicom_data import NAME, image, many_frames, saved, series

pydicom = pytest.importorskip("pydicom")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files"
VOXELS = np.random.default_rng(20).integers(0, 2000, (5, 4, 6)).astype(np.int16)


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "MR_small.dcm",
        "MR_small_implicit.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_RLE.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "JPEG2000.dcm",
        "JPEGLSNearLossless_08.dcm",
        "examples_overlay.dcm",
        "dicomdirtests/77654033/CR1/6154",
    ],
)
def test_shipped_files_have_the_values_that_pydicom_reads(name: str) -> None:
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

    known = pydicom.dcmread(SHIPPED / name)
    volume = read_dicom(SHIPPED / name)
    values = apply_modality_lut(known.pixel_array, known)
    assert np.array_equal(volume.voxels[0], values.astype(np.float32))
    if volume.levels is not None:
        shown = apply_voi_lut(values, known)
        slope, intercept = known.get("RescaleSlope", 1), known.get("RescaleIntercept", 0)
        low = -(1 << known.BitsStored - 1) if known.PixelRepresentation else 0
        low, span = low * slope + intercept, ((1 << known.BitsStored) - 1) * slope
        shares = (shown - low) / span
        if known.PhotometricInterpretation == "MONOCHROME1":
            shares = 1 - shares
        assert np.abs(volume.levels(0) - 255 * shares).max() <= 0.5 + 1e-6


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("JPGExtended.dcm", "compressed as JPEG Extended .* decompress it first"),
        ("image_dfl.dcm", "compressed as Deflated"),
        ("SC_rgb_small_odd.dcm", "a color image"),
        ("rtplan.dcm", "RT Plan Storage, expected a scan"),
        ("rtdose.dcm", "RT Dose Storage, expected a scan"),
        ("test-SR.dcm", "Comprehensive SR Storage, expected a scan"),
        ("liver_1frame.dcm", "Segmentation Storage, expected a scan"),
        ("dicomdirtests/DICOMDIR", "Media Storage Directory Storage, expected a scan"),
        ("MR_small_padded.dcm", "header is wrong: .* has 8320 bytes"),
        ("MR_truncated.dcm", "truncated, or its header is wrong: .* has 8130 bytes"),
        ("JPEG2000-embedded-sequence-delimiter.dcm", "256x1024 pixels, but its compressed data"),
        ("meta_missing_tsyntax.dcm", "states no transfer syntax"),
        ("no_meta.dcm", "not a DICOM file"),
    ],
)
def test_shipped_files_that_are_no_readable_scan_are_refused(name: str, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        _ = read_dicom(SHIPPED / name).voxels


def jpeg_lossless(made: Any) -> None:
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEGLosslessSV1

    made.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    made.PixelData = encapsulate([b"\xff\xd8"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda made: delattr(made, "PixelData"), "without pixel data"),
        (jpeg_lossless, r"compressed as JPEG Lossless, .*First-Order.* not supported"),
        (lambda made: setattr(made, "Rows", 5), "header is wrong: it states 1 image of 6x5 pix"),
        (lambda made: setattr(made, "Columns", 5), "header is wrong"),
        (lambda made: setattr(made, "NumberOfFrames", 1 << 30), "header is wrong"),
        (lambda made: setattr(made, "NumberOfFrames", -1), "header is wrong"),
        (lambda made: made.update({"Rows": 65535, "Columns": 65535}), "expected 1 to"),
        (lambda made: setattr(made, "BitsAllocated", 64), "8, 16 or 32 bits"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path: Path, change: Any, words: str) -> None:
    made = image(VOXELS[0])
    change(made)
    with pytest.raises(ImageError, match=words) as caught:
        _ = read_dicom(saved(made, tmp_path / "lies.dcm")).voxels
    assert "SECRET" not in str(caught.value)


def test_a_compressed_image_of_another_size_is_not_decoded(tmp_path: Path) -> None:
    made = pydicom.dcmread(SHIPPED / "MR_small_jp2klossless.dcm")
    made.Rows = made.Columns = 16
    path = saved(made, tmp_path / "lies.dcm")
    with pytest.raises(ImageError, match="16x16 pixels, but its compressed data have 64x64"):
        decode(read_images(path)[0])


def test_private_attributes_do_not_matter(tmp_path: Path) -> None:
    made = image(VOXELS[0])
    block = made.private_block(0x0099, "SECRET", create=True)
    block.add_new(1, "UN", bytes(1 << 16))
    volume = read_dicom(saved(made, tmp_path / "a.dcm"))
    assert np.array_equal(volume.voxels[0], 2.0 * VOXELS[0] - 1000)


@pytest.mark.parametrize(
    ("directions", "plane"),
    [
        ((1, 0, 0, 0, 1, 0), "axial"),
        ((-1, 0, 0, 0, 1, 0), "axial"),
        ((0, 1, 0, 1, 0, 0), "axial"),
        ((0.8, 0.6, 0, -0.6, 0.8, 0), "axial"),
        ((0, 1, 0, 0, 0, -1), "sagittal"),
        ((1, 0, 0, 0, 0, -1), "coronal"),
        ((1, 0, 0, 0, 0.28, 0.96), "coronal"),
    ],
)
def test_slices_are_in_the_order_of_their_places(
    tmp_path: Path, directions: tuple[float, ...], plane: str
) -> None:
    """Each voxel is where the standard's equation (PS3.3 C.7.6.2.1.1) puts it."""
    across, down = np.array(directions[:3], float), np.array(directions[3:], float)
    normal = np.cross(across, down)
    expected = {}
    for number, stored in enumerate(VOXELS):
        corner = np.array([3.0, -4.0, 5.0]) + 2.5 * number * normal
        made = image(stored, corner, ImageOrientationPatient=list(directions))
        saved(made, tmp_path / f"{9 - number}")
        for row, column in np.ndindex(stored.shape):
            place = corner + across * column * 0.25 + down * row * 0.5
            expected[tuple(np.round(place * (-1, -1, 1), 3))] = 2.0 * stored[row, column] - 1000
    volume = read_dicom(tmp_path)
    voxels = volume.voxels
    assert volume.affine is not None
    found = {}
    for index in np.ndindex(voxels.shape):
        place = (volume.affine @ (*index, 1))[:3]
        found[tuple(np.round(place, 3) + 0.0)] = voxels[index]
    assert found == {tuple(np.array(place) + 0.0): value for place, value in expected.items()}
    assert read_dicom(tmp_path, plane=plane).shape == volume.shape  # type: ignore[arg-type]
    other = "axial" if plane != "axial" else "coronal"
    with pytest.raises(ImageError, match=f"{plane} slices, expected {other} ones"):
        read_dicom(tmp_path, plane=other)  # type: ignore[arg-type]


def test_without_places_the_numbers_are_the_order(tmp_path: Path) -> None:
    for number, stored in enumerate(VOXELS):
        saved(image(stored, InstanceNumber=number), tmp_path / f"{9 - number}")
    with pytest.warns(DataWarning, match="ordered by their numbers, and lengths are in pixels"):
        volume = read_dicom(tmp_path)
    assert np.array_equal(volume.voxels, 2.0 * VOXELS - 1000)
    assert volume.affine is None
    assert volume.spacing is None


def test_frames_of_one_file_have_places_and_rules_of_their_own(tmp_path: Path) -> None:
    heights = [30.0, 10.0, 20.0, 50.0, 40.0]
    volume = read_dicom(saved(many_frames(VOXELS, heights), tmp_path / "many.dcm"))
    order = np.argsort(heights)
    assert np.array_equal(volume.voxels, (VOXELS * np.arange(1, 6)[:, None, None])[order])
    assert volume.spacing == (10.0, 0.5, 0.25)
    assert volume.levels is not None
    expected = np.rint(255 * np.clip((VOXELS[1] * 2 - 49.5) / 100 + 0.5, 0, 1))
    assert np.array_equal(volume.levels(0), expected)


def test_gaps_and_copies_are_told(tmp_path: Path) -> None:
    series(tmp_path, VOXELS)
    twice = sorted(tmp_path.iterdir())[0]
    (tmp_path / "copy").write_bytes(twice.read_bytes())
    made = image(VOXELS[0], (-20.0, -30.0, 90.0))
    saved(made, tmp_path / "far")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        assert read_dicom(tmp_path).shape == (6, 4, 6)
    texts = [str(warning.message) for warning in caught]
    assert "copies of its images (1), which were passed over" in texts[0]
    assert "gaps between its slices (1), of up to 60 mm, where the usual step is 5 mm" in texts[1]


def test_one_image_needs_no_position(tmp_path: Path) -> None:
    assert read_dicom(saved(image(VOXELS[0], None), tmp_path / "one.dcm")).spacing is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"SeriesInstanceUID": "1.2.9"}, "2 series, of 5, 1 images, in one folder; choose one"),
        ({}, "1 of 6 images at the same place as another one"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "not parallel, as in a localizer"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "different sizes or kinds"),
        ({"NumberOfFrames": 2, "Rows": 2}, "different sizes or kinds"),
    ],
)
def test_images_that_are_no_volume_are_refused(
    tmp_path: Path, fields: dict[str, Any], words: str
) -> None:
    series(tmp_path, VOXELS)
    saved(image(VOXELS[0], (-20.0, -30.0, 10.0), **fields), tmp_path / "other")
    with pytest.raises(ImageError, match=words) as caught:
        read_dicom(tmp_path)
    assert "SECRET" not in str(caught.value)


def test_one_of_several_series_can_be_chosen(tmp_path: Path) -> None:
    series(tmp_path, VOXELS, SeriesNumber=2)
    saved(image(VOXELS[0], SeriesInstanceUID="1.2.9", SeriesNumber=1), tmp_path / "other")
    assert [read_dicom(tmp_path, number=n).shape[0] for n in (1, 2)] == [1, 5]
    with pytest.raises(ImageError, match="no series 3, the series are 1 to 2"):
        read_dicom(tmp_path, number=3)


def test_a_folder_is_a_series_if_a_scan_lies_directly_in_it(tmp_path: Path) -> None:
    series(tmp_path / "a" / "ct", VOXELS)
    (tmp_path / "a" / "notes.txt").write_text("notes")
    (tmp_path / "DICOMDIR").write_bytes((SHIPPED / "dicomdirtests" / "DICOMDIR").read_bytes())
    assert is_dicom(tmp_path / "a" / "ct")
    assert not is_dicom(tmp_path / "a")
    assert not is_dicom(tmp_path)
    (tmp_path / "a" / "ct" / "report").write_bytes((SHIPPED / "test-SR.dcm").read_bytes())
    assert read_dicom(tmp_path / "a" / "ct").shape == (5, 4, 6)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "report").write_bytes((SHIPPED / "test-SR.dcm").read_bytes())
    with pytest.raises(ImageError, match="c: no DICOM images"):
        read_dicom(tmp_path / "c")


def test_gray_levels_follow_the_rule_of_the_network(tmp_path: Path) -> None:
    fields = {"WindowCenter": 40, "WindowWidth": 400, "PhotometricInterpretation": "MONOCHROME1"}
    volume = read_dicom(series(tmp_path, VOXELS, **fields))
    values = 2.0 * VOXELS - 1000

    def levels(spec: VolumeSpec) -> NDArray[np.uint8]:
        read = gray_slices(volume, spec)
        return np.stack([read(index) for index in range(5)])

    stated = 1 - np.clip((values - 39.5) / 399 + 0.5, 0, 1)
    assert np.array_equal(levels(VolumeSpec(range="stated")), np.rint(255 * stated))
    window = 1 - np.clip((values + 500) / 1000, 0, 1)
    own = levels(VolumeSpec(range="window", low=-500, high=500))
    assert np.abs(own - 255 * window).max() <= 0.5
    low, high = np.percentile(values, (2, 98), method="inverted_cdf")
    shares = 1 - np.clip((values - low) / (high - low), 0, 1)
    own = levels(VolumeSpec(low=2, high=98))
    assert np.abs(own - 255 * shares).max() <= 0.5


def test_the_name_and_the_messages_hold_nothing_of_the_patient(tmp_path: Path) -> None:
    volume = read_dicom(series(tmp_path / "head", VOXELS))
    assert volume.patient is None
    assert volume.name == "head"
    assert NAME not in repr(volume)
