"""Volumes and masks by `seg-predict`, against numpy and nibabel alone."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image

from runtime.cli.predict import main
from runtime.core.progress import Progress
from runtime.data.masks import mask_from_segmentations
from runtime.data.volumes.gray import gray_slices
from runtime.data.volumes.mapped import release_pages
from runtime.data.volumes.spec import VolumeSpec
from runtime.data.volumes.volume import volume_of
from runtime.model.image_files import find_images
from runtime.model.metadata import KEY, InputSpec, Metadata, NetworkInfo, OutputSpec, dump_metadata
from runtime.model.montage import draw_montage
from runtime.model.predict_files import predict_files
from runtime.model.predictor import Predictor
from runtime.model.volumes import predict_volume
from tests.support.model_builder import ModelBuilder

nib = pytest.importorskip("nibabel")

SIDE, DEPTH = 16, 5
SPEC = VolumeSpec("axial", "window", -50.0, 250.0)
AFFINE = np.array([[0, 0, 2.0, 1], [-1.0, 0, 0, 2], [0, 1.0, 0, 3], [0, 0, 0, 1]])
"""Stored axes: to the back, to the head, to the right."""


@pytest.fixture
def network(tmp_path: Path, build_onnx: ModelBuilder) -> Path:
    metadata = Metadata(
        "tiny",
        InputSpec(SIDE, SIDE, multiple=1, volumes=SPEC),
        OutputSpec(("foreground",)),
        NetworkInfo("scratch", 1, 1, 1),
    )
    return build_onnx(tmp_path / "tiny.onnx", metadata={KEY: dump_metadata(metadata)})


def expected(voxels: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return the probability of each voxel: the network is a weighted sum and a sigmoid."""
    gray = np.rint(np.clip((voxels.astype(float) + 50) / 300, 0, 1) * 255) / 255
    weights = np.random.default_rng(0).normal(size=3).astype(np.float32)  # as `build_onnx`
    result: NDArray[np.float64] = 1 / (1 + np.exp(-gray * weights.sum()))
    return result


def scan() -> NDArray[np.int16]:
    """Return a stored volume whose axial slices are SIDE x SIDE."""
    return np.random.default_rng(7).integers(-90, 300, (SIDE, DEPTH, SIDE)).astype(np.int16)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_results_are_on_the_grid_of_the_file(network: Path, tmp_path: Path) -> None:
    image = nib.Nifti1Image(scan(), AFFINE)
    image.header["descrip"] = b"a scanner"
    Image.new("L", (40, 30)).save(tmp_path / "picture.png")
    nib.save(image, tmp_path / "head.nii.gz")
    probability = expected(scan())
    middle = float(np.median(probability))
    result = run(
        *(network, tmp_path / "head.nii.gz", tmp_path / "picture.png"),
        *("--threshold", middle, "--out", tmp_path / "out"),
    )
    assert result.exit_code == 0, result.output
    assert "\n1 image, 1 volume, maps and overlays in" in result.output
    assert "does not say how slices" not in result.output
    assert "of the voxels at" in result.output
    written = nib.load(tmp_path / "out/head.probability.nii.gz")
    mask = nib.load(tmp_path / "out/head.mask.nii.gz")
    np.testing.assert_allclose(np.asarray(written.dataobj), probability, atol=1e-6)
    exact = np.asarray(written.dataobj) >= np.float32(middle)
    np.testing.assert_array_equal(np.asarray(mask.dataobj), exact)
    for answer in (written, mask):
        np.testing.assert_array_equal(answer.affine, nib.load(tmp_path / "head.nii.gz").affine)
    row, _ = csv.DictReader((tmp_path / "out/masks.csv").read_text().splitlines())
    assert int(row["area"]) == exact.sum()
    assert float(row["milliliters"]) == pytest.approx(exact.sum() * 2.0 / 1000, rel=1e-5)
    assert (tmp_path / "out/head.overlay.png").is_file()
    again = run(network, tmp_path / "out", "--out", tmp_path / "again")
    assert again.exit_code == 2
    assert "no images in this folder except results" in again.output


def test_slices_that_are_not_square_keep_their_rows_and_columns(network: Path) -> None:
    values = np.random.default_rng(8).integers(-90, 300, (3, 12, 20)).astype(np.float32)
    volume = volume_of(values)
    found = predict_volume(Predictor(network), volume, gray_slices(volume, SPEC))
    assert found.shape == values.shape
    weight = np.random.default_rng(0).normal(size=3).astype(np.float32).sum()
    for probability, slice_ in zip(found, values, strict=True):
        gray = np.rint(np.clip((slice_ + 50) / 300, 0, 1) * 255).astype(np.uint8)
        small = Image.fromarray(gray).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        shares = 1 / (1 + np.exp(-np.asarray(small, np.float32) / 255 * weight))
        large = Image.fromarray(shares).resize((20, 12), Image.Resampling.BILINEAR)
        np.testing.assert_allclose(probability, np.asarray(large), atol=1e-5)


def test_one_of_several_volumes_is_chosen_or_the_file_refused(
    network: Path, tmp_path: Path
) -> None:
    both = np.stack([scan(), scan()[::-1]], axis=3)
    nib.save(nib.Nifti1Image(both, AFFINE), tmp_path / "two.nii")
    result = run(network, tmp_path / "two.nii", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "a file of 2 volumes, of which only one can be used" in result.output
    assert not (tmp_path / "out").exists()
    assert (
        run(network, tmp_path / "two.nii", "--volume", 2, "--out", tmp_path / "out").exit_code == 0
    )
    written = np.asarray(nib.load(tmp_path / "out/two.probability.nii").dataobj)
    np.testing.assert_allclose(written, expected(both[..., 1]), atol=1e-6)


def test_a_network_of_pictures_says_what_it_takes_of_volumes(
    tmp_path: Path, build_onnx: ModelBuilder
) -> None:
    nib.save(nib.Nifti1Image(scan(), AFFINE), tmp_path / "head.nii")
    model = build_onnx(tmp_path / "plain.onnx")
    result = run(model, tmp_path / "head.nii", "--size", SIDE, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "taking axial slices, and the percentiles 0.5 and 99.5 of each volume" in result.output


def test_a_volume_that_cannot_be_read_is_skipped_like_a_picture(
    network: Path, tmp_path: Path
) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans/bad.nii").write_bytes(b"\0" * 400)
    nib.save(nib.Nifti1Image(scan(), AFFINE), tmp_path / "scans/good.nii")
    result = run(network, tmp_path / "scans", "--on-error", "skip", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "bad.nii: not a NIfTI file" in result.output
    assert run(network, tmp_path / "scans", "--out", tmp_path / "out").exit_code == 2


def test_a_threshold_writes_masks_areas_and_run_lengths_of_pictures(
    network: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    for name in ("a", "b"):
        pixels = rng.integers(0, 256, (24, 20), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    maps = [Predictor(network)(file) for file in files]
    threshold = float(np.median(maps[0]))
    result = run(network, *files, "--threshold", threshold, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / "out/masks.json").read_text())
    rows = list(csv.DictReader((tmp_path / "out/masks.csv").read_text().splitlines()))
    for number, (file, probability) in enumerate(zip(files, maps, strict=True)):
        inside = probability >= threshold
        mask = np.asarray(Image.open(tmp_path / "out" / f"{file.stem}.mask.png"))
        np.testing.assert_array_equal(mask, inside * 255)
        found = [a for a in content["annotations"] if a["image_id"] == number]
        runs = mask_from_segmentations(
            [a["segmentation"] for a in found], (24, 20), (24, 20), where="masks.json"
        )
        np.testing.assert_array_equal(runs, inside)
        assert (rows[number]["image"], int(rows[number]["area"])) == (str(file), inside.sum())
        assert float(rows[number]["highest"]) == pytest.approx(probability.max(), abs=1e-6)


def test_the_result_is_a_view_of_a_file_that_may_be_released(network: Path) -> None:
    volume = volume_of(np.full((3, SIDE, SIDE), 100, np.float32))
    result = predict_volume(Predictor(network), volume, gray_slices(volume, SPEC))
    before = result.copy()
    release_pages(result)
    release_pages(before)
    np.testing.assert_array_equal(result, before)
    np.testing.assert_allclose(result, expected(np.array([100], np.int16))[0], atol=1e-6)


def test_a_montage_shows_the_slices_with_foreground_in_their_proportions() -> None:
    probability = np.zeros((40, 8, 16), np.float32)
    probability[10:13, 2:5, 2:5] = 0.9
    volume = volume_of(np.zeros((40, 8, 16), np.float32), spacing=(1.0, 4.0, 1.0))
    shown: list[int] = []

    def gray(index: int) -> NDArray[np.uint8]:
        shown.append(index)
        return np.zeros((8, 16), np.uint8)

    picture = draw_montage(volume, gray, probability)
    assert shown == [10, 11, 12]
    assert picture.shape == (256, 3 * 128, 3)
    shown.clear()
    assert draw_montage(volume, gray, np.zeros_like(probability)).shape == (768, 512, 3)
    assert (shown[0], shown[-1], len(shown)) == (0, 39, 12)


def test_progress_within_a_volume_is_that_of_its_slices(network: Path, tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(scan(), AFFINE), tmp_path / "head.nii")
    Image.new("L", (SIDE, SIDE)).save(tmp_path / "a.png")
    told: list[Progress] = []
    images = find_images([str(tmp_path / "a.png"), str(tmp_path / "head.nii")])
    predict_files(Predictor(network), images, tmp_path / "out", on_progress=told.append)
    assert {each.total for each in told} == {2}
    slices = [each for each in told if each.phase == "predict"]
    assert [each.done for each in slices] == [1, *(1 + number / DEPTH for number in range(1, 6)), 2]
    assert slices[1].note == "slice 1 of 5"
    assert told[-2].note.startswith("writing slice ")
