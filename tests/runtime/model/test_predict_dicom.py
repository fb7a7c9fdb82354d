"""`seg-predict` on DICOM series: results read by highdicom, against an independent calculation."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from runtime.cli.predict import main
from runtime.data.volumes.spec import VolumeSpec
from runtime.model.metadata import (
    KEY,
    InputSpec,
    Metadata,
    NetworkInfo,
    OutputSpec,
    dump_metadata,
)
from runtime.model.predictor import Predictor
from tests.support.dicom_data import NAME, image, saved, series
from tests.support.model_builder import ModelBuilder

highdicom = pytest.importorskip("highdicom")
pydicom = pytest.importorskip("pydicom")
pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning:pydicom", "ignore::UserWarning:highdicom"
)

SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests"


@pytest.fixture(scope="module")
def network(build_onnx: ModelBuilder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_onnx(tmp_path_factory.mktemp("net") / "net.onnx")


def test_a_folder_of_studies_is_answered_by_segmentations(network: Path, tmp_path: Path) -> None:
    """From pydicom's pixels, its window and Pillow's resizing, without our reading."""
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

    arguments = [str(network), str(SHIPPED / "98892001"), "--out", str(tmp_path), "--size", "32"]
    run = CliRunner().invoke(main, [*arguments, "--threshold", "0.4", "--on-error", "skip"])
    assert run.exit_code == 0, run.output
    assert "in the window that they state" in run.output
    assert "CT2N: its images are not parallel" in run.output
    fractional = highdicom.seg.segread(tmp_path / "CT5N.probability.dcm")
    binary = highdicom.seg.segread(tmp_path / "CT5N.mask.dcm")
    assert (tmp_path / "CT5N.overlay.png").is_file()
    predictor = Predictor(network, size=(32, 32))
    for path in (SHIPPED / "98892001" / "CT5N").iterdir():
        source = pydicom.dcmread(path)
        assert str(source.PatientName) not in run.output
        shown = apply_voi_lut(apply_modality_lut(source.pixel_array, source), source)
        low, span = -32768 + source.RescaleIntercept, 65535
        gray = Image.fromarray(np.rint(255 * (shown - low) / span).astype(np.uint8))
        large = gray.convert("RGB").resize((32, 32), Image.Resampling.BILINEAR)
        inputs = (np.asarray(large, np.float32) / np.float32(255)).transpose(2, 0, 1)[None]
        small = Image.fromarray(predictor.run(inputs)[0])
        expected = np.asarray(small.resize((16, 16), Image.Resampling.BILINEAR))
        instances = [source.SOPInstanceUID]
        found = fractional.get_pixels_by_source_instance(instances)[0, ..., 0]
        assert np.abs(found - expected).max() <= 0.5 / 255 + 1e-5
        mask = binary.get_pixels_by_source_instance(instances)[0, ..., 0]
        assert np.array_equal(mask, expected >= 0.4)


def test_results_are_no_scans_and_errors_name_no_patient(network: Path, tmp_path: Path) -> None:
    voxels = np.random.default_rng(20).integers(0, 2000, (2, 16, 16)).astype(np.int16)
    series(tmp_path / "in" / "head", voxels)
    arguments = [str(network), str(tmp_path / "in"), "--out", str(tmp_path / "in"), "--size", "32"]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    run = CliRunner().invoke(main, arguments)
    assert run.exit_code == 0, run.output
    assert "1 series, maps" in run.output
    masks = tmp_path / "in" / "masks"  # as an archive has them: in a folder beside the scans
    masks.mkdir()
    (tmp_path / "in" / "head.probability.dcm").rename(masks / "head.dcm")
    run = CliRunner().invoke(main, arguments)
    assert run.exit_code == 0, run.output
    assert "1 series, maps" in run.output
    saved(image(voxels[0], (-20.0, -30.0, 10.0)), tmp_path / "in" / "head" / "other")
    run = CliRunner().invoke(main, arguments)
    assert run.exit_code == 2
    assert "1 of 3 images at the same place as another one" in run.output
    assert NAME not in run.output


def test_a_file_in_the_place_of_the_folder_is_named(network: Path, tmp_path: Path) -> None:
    voxels = np.random.default_rng(20).integers(0, 2000, (2, 16, 16)).astype(np.int16)
    scan = series(tmp_path / "head", voxels)
    (tmp_path / "out").touch()
    arguments = [str(network), str(scan), "--out", str(tmp_path / "out"), "--size", "16"]
    run = CliRunner().invoke(main, arguments)
    assert run.exit_code == 2
    assert "out/head.probability.dcm: cannot be written: file exists" in run.output


@pytest.mark.parametrize(
    ("known", "stated", "told"),
    [
        (("MR", "PT"), "CT", True),
        (("MR", "CT"), "CT", False),
        ((), "CT", False),
        (("MR",), "SECRET", False),
        (("MR",), None, False),
    ],
)
def test_a_series_of_another_modality_is_told(
    build_onnx: ModelBuilder, tmp_path: Path, known: tuple[str, ...], stated: str | None, told: bool
) -> None:
    """Text that is no term of the standard is not repeated."""
    spec = InputSpec(16, 16, multiple=1, volumes=VolumeSpec(modalities=known))
    described = Metadata("t", spec, OutputSpec(("f",)), NetworkInfo("scratch", 1, 1, 1))
    network = build_onnx(tmp_path / "t.onnx", metadata={KEY: dump_metadata(described)})
    voxels = np.random.default_rng(20).integers(0, 2000, (2, 16, 16)).astype(np.int16)
    scan = series(tmp_path / "head", voxels, Modality=stated)
    run = CliRunner().invoke(main, [str(network), str(scan), "--out", str(tmp_path / "out")])
    assert run.exit_code == 0, run.output
    words = "head: of modality CT, but the network was trained on MR, PT"
    assert (words in run.output) == told
    assert "SECRET" not in run.output
