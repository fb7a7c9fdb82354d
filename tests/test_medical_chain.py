"""From real scans to scores: import, prediction and evaluation against pydicom, highdicom, nibabel.

The scans are those that pydicom and nibabel ship. Their masks are made here, by highdicom and by
nibabel. Every expected value is computed from the files with these packages, Pillow and ONNX
Runtime alone.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from runtime.cli.data import main as seg_data
from runtime.cli.evaluate import main as seg_eval
from runtime.cli.predict import main as seg_predict
from runtime.data.coco import read_dataset
from runtime.scoring.results import read_report
from tests.support.model_builder import ModelBuilder

nib = pytest.importorskip("nibabel")
pydicom = pytest.importorskip("pydicom")
highdicom = pytest.importorskip("highdicom")
pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning:pydicom", "ignore::UserWarning:highdicom"
)

SERIES = ("77654033/CT2", "98892001/CT5N")
DICOM = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests"
NIFTI = Path(nib.__file__).parent / "tests" / "data"


def call(command: Any, *arguments: object) -> str:
    run = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert run.exit_code == 0, run.output
    return run.output


def inferred(network: Path, gray: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the probabilities of a gray image at its own size, by ONNX Runtime alone."""
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    inputs = np.repeat(gray[None, None], 3, axis=1).astype(np.float32) / np.float32(255)
    found: NDArray[np.float32] = session.run(None, {session.get_inputs()[0].name: inputs})[0][0, 0]
    return found


def windowed(voxels: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return gray levels by the percentiles 0.5 and 99.5 of a whole volume."""
    values = np.sort(voxels.astype(np.float32).ravel())
    low, high = (float(values[int(np.ceil(q / 100 * len(values))) - 1]) for q in (0.5, 99.5))
    return np.rint(np.clip((voxels - low) / (high - low), 0, 1) * 255).astype(np.uint8)


@pytest.fixture(scope="module")
def network(build_onnx: ModelBuilder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_onnx(tmp_path_factory.mktemp("net") / "net.onnx")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real series, each with a segmentation by highdicom: the brightest 30 % of it."""
    from highdicom.seg import Segmentation, SegmentDescription
    from pydicom.sr.codedict import codes

    root = tmp_path_factory.mktemp("archive")
    described = SegmentDescription(
        1, "bright", codes.SCT.Tissue, codes.SCT.Tissue, algorithm_type="MANUAL"
    )
    for number, name in enumerate(SERIES):
        sources = [pydicom.dcmread(path) for path in sorted((DICOM / name).iterdir())]
        bright = np.stack([source.pixel_array for source in sources])
        made = Segmentation(
            sources, bright > np.quantile(bright, 0.7), "BINARY", [described],
            highdicom.UID(), 1, highdicom.UID(), 1, "a reader", "by hand", "1", "1",
        )  # fmt: skip
        folder = root / str(number)
        folder.mkdir()
        for index, source in enumerate(sources):
            source.save_as(folder / f"{index}.dcm")
        made.save_as(folder / "seg.dcm")
    return root


def truth(folder: Path) -> tuple[NDArray[np.float64], NDArray[np.bool_], list[Any]]:
    """Return a series in the order of its places: values, mask and headers."""
    from pydicom.pixels.processing import apply_modality_lut

    sources = [pydicom.dcmread(path) for path in folder.glob("[0-9].dcm")]
    row, column = np.reshape(sources[0].ImageOrientationPatient, (2, 3)).astype(float)
    normal = np.cross(row, column)
    sources.sort(key=lambda s: float(normal @ np.array(s.ImagePositionPatient, float)))
    values = np.stack([apply_modality_lut(s.pixel_array, s) for s in sources]).astype(float)
    read = highdicom.seg.segread(folder / "seg.dcm")
    mask = read.get_pixels_by_source_instance([s.SOPInstanceUID for s in sources])[..., 0]
    return values, mask > 0, sources


def test_real_series_are_imported_predicted_and_scored_voxel_by_voxel(
    network: Path, archive: Path, tmp_path: Path
) -> None:
    call(seg_data, "import", archive, tmp_path / "set", "--split", "test")
    samples = read_dataset(tmp_path / "set").split("test").samples
    call(seg_eval, network, "--data", tmp_path / "set", "--size", 16, "--no-baselines",
               "--json", tmp_path / "scores.json")  # fmt: skip
    sums: dict[str, NDArray[np.float64]] = {}
    for number in range(len(SERIES)):
        values, masks, sources = truth(archive / str(number))
        levels = windowed(values)
        own = [s for s in samples if s.file_name.startswith(f"images/series{number + 1:04d}/")]
        assert len(own) == len(values)
        shown = np.stack([np.asarray(Image.open(sample.path)) for sample in own])
        drawn = np.stack([sample.mask((16, 16), "segmentation") > 0 for sample in own])
        if not np.array_equal(shown, levels):  # the other end of the normal comes first
            shown, drawn = shown[::-1], drawn[::-1]
        np.testing.assert_array_equal(shown, levels)
        np.testing.assert_array_equal(drawn, masks)
        patient = sources[0].PatientID
        for gray, mask in zip(levels, masks, strict=True):
            p = inferred(network, gray).astype(float)
            terms = np.array([(p * mask).sum(), (p + mask - p * mask).sum()])
            sums[patient] = sums.get(patient, np.zeros(2)) + terms
    scores = read_report(tmp_path / "scores.json").models[0].evaluation.patients
    assert scores is not None
    found = [
        (one.soft.overlap, one.soft.target + one.soft.predicted - one.soft.overlap)
        for one in scores.patients
    ]
    np.testing.assert_allclose(sorted(found), sorted(map(tuple, sums.values())), rtol=1e-6)


@pytest.mark.parametrize("name", ["anatomical.nii", "example4d.nii.gz", "example_nifti2.nii.gz"])
def test_real_nifti_files_are_answered_on_their_grid(
    network: Path, tmp_path: Path, name: str
) -> None:
    """Axial slices, by the axes that nibabel states."""
    source = nib.load(NIFTI / name)
    values = source.get_fdata()
    options = ["--volume", 2] if values.ndim == 4 else []
    values = values[..., 1] if values.ndim == 4 else values
    height, width = values.shape[1], values.shape[0]
    arguments = (network, NIFTI / name, "--out", tmp_path, "--threshold", 0.4, "--size", 32)
    call(seg_predict, *arguments, *options)
    ending = "".join(Path(name).suffixes)
    stem = name.removesuffix(ending)
    found, mask = (
        nib.load(tmp_path / f"{stem}.{kind}{ending}") for kind in ("probability", "mask")
    )
    assert found.shape == mask.shape == values.shape
    np.testing.assert_allclose(found.affine, source.affine, atol=1e-5)
    assert nib.aff2axcodes(source.affine) == ("L", "A", "S")
    levels = windowed(values)
    for index in range(values.shape[2]):
        gray = levels[:, ::-1, index].T  # rows to the back, columns to the left
        small = Image.fromarray(np.ascontiguousarray(gray)).resize(
            (32, 32), Image.Resampling.BILINEAR
        )
        p = Image.fromarray(inferred(network, np.asarray(small)))
        expected = np.asarray(p.resize((width, height), Image.Resampling.BILINEAR))
        stored = np.asarray(found.dataobj[:, ::-1, index]).T
        np.testing.assert_allclose(stored, expected, atol=2e-6)
        decided = np.asarray(mask.dataobj[:, ::-1, index]).T
        np.testing.assert_array_equal(decided == 1, stored >= 0.4)


def test_pictures_beside_a_folder_of_masks_are_imported_predicted_and_scored(
    network: Path, tmp_path: Path
) -> None:
    """Scores of each picture, from its files alone; patients are those that the names state."""
    rng = np.random.default_rng(5)
    for folder in ("images", "masks"):
        (tmp_path / "in" / folder).mkdir(parents=True)
    for number in range(8):
        name = f"patient{number // 2:02d}_{number % 2}.png"
        pixels = rng.integers(0, 256, (16, 16), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "in" / "images" / name)
        mask = (pixels > 128) & (number != 3)  # one of them is empty
        Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "in" / "masks" / name)
    call(seg_data, "import", tmp_path / "in", tmp_path / "set", "--split", "test")
    call(seg_data, "check", tmp_path / "set")
    call(seg_eval, network, "--data", tmp_path / "set", "--size", 16, "--no-baselines",
         "--json", tmp_path / "scores.json")  # fmt: skip
    call(seg_predict, network, tmp_path / "in" / "images", "--out", tmp_path / "out",
         "--size", 16, "--threshold", 0.5)  # fmt: skip
    samples = read_report(tmp_path / "scores.json").models[0].evaluation.samples
    assert len(samples) == 8
    for sample in samples:
        name = Path(sample.file).name
        p = inferred(network, np.asarray(Image.open(tmp_path / "in" / "images" / name)))
        mask = np.asarray(Image.open(tmp_path / "in" / "masks" / name)) > 0
        assert sample.patient is not None
        assert sample.patient in name
        sums = (mask.sum(), p.astype(float).sum(), (p * mask).astype(float).sum())
        soft = sample.soft
        assert (soft.target, soft.predicted, soft.overlap) == pytest.approx(sums, rel=1e-6)
        hard = sample.thresholded
        assert (hard.predicted, hard.overlap) == ((p >= 0.5).sum(), ((p >= 0.5) & mask).sum())
        stem = name.removesuffix(".png")
        drawn = np.asarray(Image.open(tmp_path / "out" / f"{stem}.mask.png"))
        np.testing.assert_array_equal(drawn > 0, p >= 0.5)
