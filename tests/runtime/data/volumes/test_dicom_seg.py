"""Segmentations as written: read by highdicom, compared by voxel, and read as labels again."""

import subprocess
import tracemalloc
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest

from runtime.core.errors import ImageError
from runtime.core.progress import Progress
from runtime.data.volumes.dicom_labels import read_segmentation
from runtime.data.volumes.dicom_seg import _encoded, write_dicom
from runtime.data.volumes.dicom_series import DicomSeries, read_dicom
from runtime.data.volumes.volume import PredictedBy, Volume
from tests.support.dicom_data import image, many_frames, saved, series

highdicom = pytest.importorskip("highdicom")
pydicom = pytest.importorskip("pydicom")
pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning:pydicom",
    "ignore::UserWarning:highdicom",
    "ignore:.*gaps between its slices:runtime.core.errors.DataWarning",
)

SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files"
VOXELS = np.random.default_rng(20).integers(0, 2000, (5, 4, 6)).astype(np.int16)
NETWORK = PredictedBy("unet.onnx", "ab" * 32, "tumor")


def probabilities(volume: Volume) -> Any:
    """Probabilities on a volume's grid; nothing is found in the first slice."""
    found = np.random.default_rng(3).random(volume.shape, np.float32)
    found[0] = 0.0
    return found


def read_by_highdicom(path: Path, volume: Volume) -> Any:
    """The frames of a segmentation for the images of a volume, in its slices' order."""
    segmentation = highdicom.seg.segread(path)
    origin = volume.origin
    assert isinstance(origin, DicomSeries)
    images = origin.images[:: -1 if origin.order.flipped[0] else 1]
    if any(each.frame for each in images):
        numbers = [each.frame + 1 for each in images]
        return segmentation.get_pixels_by_source_frame(images[0].instance, numbers)[..., 0]
    instances = [each.instance for each in images]
    return segmentation.get_pixels_by_source_instance(instances)[..., 0]


@pytest.mark.parametrize(
    "name",
    ["dicomdirtests/77654033/CT2", "dicomdirtests/98892001/CT5N", "dicomdirtests/77654033/CR1",
     "MR_small_RLE.dcm", "JPEG2000.dcm"],
)  # fmt: skip
def test_results_of_shipped_files_are_read_by_highdicom(name: str, tmp_path: Path) -> None:
    volume = read_dicom(SHIPPED / name)
    probability = probabilities(volume)
    fractional, binary = write_dicom(volume, probability, 0.5, tmp_path / "head", NETWORK)
    assert [path.name for path in (fractional, binary)] == ["head.probability.dcm", "head.mask.dcm"]
    assert np.abs(read_by_highdicom(fractional, volume) - probability).max() <= 0.5 / 255 + 1e-6
    assert np.array_equal(read_by_highdicom(binary, volume), probability >= 0.5)
    read = pydicom.dcmread(binary)
    source = pydicom.dcmread(volume.origin.images[0].path)  # type: ignore[attr-defined]
    assert read.NumberOfFrames == volume.shape[0]
    assert read.StudyInstanceUID == source.StudyInstanceUID
    assert read.SeriesInstanceUID != source.SeriesInstanceUID
    assert read.PatientID == source.PatientID
    algorithm = read.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("unet.onnx", "ab" * 32)
    assert read.SegmentSequence[0].SegmentLabel == "tumor"


def test_an_empty_mask_is_written_with_all_frames(tmp_path: Path) -> None:
    volume = read_dicom(series(tmp_path / "ct", VOXELS))
    nothing = np.zeros(volume.shape, np.float32)
    _, binary = write_dicom(volume, nothing, 0.5, tmp_path / "out", NETWORK)
    assert pydicom.dcmread(binary).NumberOfFrames == 5
    assert not read_by_highdicom(binary, volume).any()


@pytest.mark.parametrize(
    "directions", [(1, 0, 0, 0, 1, 0), (-1, 0, 0, 0, 1, 0), (0, 1, 0, 1, 0, 0), (0, 1, 0, 0, 0, -1)]
)
def test_frames_lie_where_their_images_lie(tmp_path: Path, directions: tuple[float, ...]) -> None:
    """However slices are turned for the network: rows, columns and order are the images' again."""
    normal = np.cross(directions[:3], directions[3:])
    for number, stored in enumerate(VOXELS):
        made = image(stored, 2.5 * number * normal, ImageOrientationPatient=list(directions))
        saved(made, tmp_path / "ct" / f"{9 - number}")
    volume = read_dicom(tmp_path / "ct")
    # A mask that follows from the voxels: so it must fit the stored pixels of each image.
    probability = (volume.voxels > 1000).astype(np.float32)
    _, binary = write_dicom(volume, probability, 0.5, tmp_path / "out", NETWORK)
    segmentation = highdicom.seg.segread(binary)
    for path in (tmp_path / "ct").iterdir():
        source = pydicom.dcmread(path)
        frames = segmentation.get_pixels_by_source_instance([source.SOPInstanceUID])
        assert np.array_equal(frames[0, ..., 0], 2.0 * source.pixel_array - 1000 > 1000)


def test_frames_of_one_file_are_answered_in_its_order(tmp_path: Path) -> None:
    made = many_frames(VOXELS, [30.0, 10.0, 20.0, 50.0, 40.0])
    volume = read_dicom(saved(made, tmp_path / "many.dcm"))
    probability = probabilities(volume)
    fractional, _ = write_dicom(volume, probability, 0.5, tmp_path / "out", NETWORK)
    assert np.abs(read_by_highdicom(fractional, volume) - probability).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("sides", [(3, 5), (3, 3), (2, 8), (1, 1)])
def test_bits_of_frames_follow_each_other_without_a_gap(
    tmp_path: Path, sides: tuple[int, int]
) -> None:
    made = many_frames(np.zeros((3, *sides), np.int16), [10.0, 20.0, 30.0])
    volume = read_dicom(saved(made, tmp_path / "many.dcm"))
    probability = np.random.default_rng(8).random(volume.shape, np.float32)
    fractional, binary = write_dicom(volume, probability, 0.5, tmp_path / "out", NETWORK)
    assert np.array_equal(read_by_highdicom(binary, volume), probability >= 0.5)
    assert np.abs(read_by_highdicom(fractional, volume) - probability).max() <= 0.5 / 255 + 1e-6
    for path in (fractional, binary):
        read = pydicom.dcmread(path)
        assert read.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
        assert len(read.PixelData) % 2 == 0


def test_memory_holds_one_frame_at_a_time(tmp_path: Path) -> None:
    told: list[Progress] = []
    volumes = []
    for frames in (1, 16):
        made = many_frames(
            np.zeros((frames, 512, 512), np.int16), [float(n) for n in range(frames)]
        )
        volumes.append(read_dicom(saved(made, tmp_path / f"{frames}.dcm")))
    few, many = (np.broadcast_to(np.float32(0.75), each.shape) for each in volumes)
    write_dicom(volumes[0], few, 0.5, tmp_path / "out", NETWORK)  # highdicom reads its tables once
    tracemalloc.start()
    try:
        written = write_dicom(volumes[1], many, 0.5, tmp_path / "out", NETWORK, told.append)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.8 * written[0].stat().st_size
    assert [each.done for each in told if each.phase == "write"] == 2 * list(range(1, 17))
    assert {each.phase for each in told} == {"headers", "write"}


@pytest.mark.parametrize("name", ["StudyInstanceUID", "FrameOfReferenceUID"])
def test_images_without_identity_cannot_be_referred_to(tmp_path: Path, name: str) -> None:
    volume = read_dicom(series(tmp_path / "ct", VOXELS, **{name: None}))
    with pytest.raises(ImageError, match=f"which state no {name}"):
        write_dicom(volume, probabilities(volume), None, tmp_path / "out", NETWORK)
    assert not list(tmp_path.glob("out*"))


def test_labels_are_those_of_the_written_mask(tmp_path: Path) -> None:
    volume = read_dicom(series(tmp_path / "ct", VOXELS))
    probability = probabilities(volume)
    origin = volume.origin
    assert isinstance(origin, DicomSeries)
    for path in write_dicom(volume, probability, 0.5, tmp_path / "out", NETWORK):
        segmentation = read_segmentation(path)
        assert segmentation is not None
        assert segmentation.names == {1: "tumor"}
        for found, each in zip(probability, origin.images, strict=True):
            labels = segmentation.labels(each, {"tumor": 7})
            # 256 levels: a fractional segmentation rounds.
            mask = np.rint(found * 255) / 255 >= 0.5 if "prob" in path.name else found >= 0.5
            assert np.array_equal(labels, 7 * mask)
    assert segmentation is not None
    other = read_dicom(saved(image(VOXELS[0, :2]), tmp_path / "other"))
    assert isinstance(other.origin, DicomSeries)
    with pytest.raises(ImageError, match="6x4 pixels, but the image other has 6x2"):
        segmentation.labels(other.origin.images[0], {"tumor": 1})


def test_a_segmentation_without_references_is_refused(tmp_path: Path) -> None:
    volume = read_dicom(series(tmp_path / "ct", VOXELS))
    _, path = write_dicom(volume, probabilities(volume), 0.5, tmp_path / "out", NETWORK)
    made = pydicom.dcmread(path)
    for own in made.PerFrameFunctionalGroupsSequence:
        del own.DerivationImageSequence
    made.save_as(path)
    with pytest.raises(ImageError, match="does not state which images it is of"):
        read_segmentation(path)
    assert read_segmentation(tmp_path / "ct" / "000") is None


@pytest.mark.parametrize("name", ["dicomdirtests/98892001/CT5N", "JPEG2000.dcm"])
def test_dciodvfy_finds_no_error(name: str, tmp_path: Path) -> None:
    """By David Clunie's validator, of the package dicom3tools, where it is installed."""
    validator = which("dciodvfy")
    if validator is None:
        pytest.skip("dciodvfy is not installed (package dicom3tools)")
    volume = read_dicom(SHIPPED / name)
    for path in write_dicom(volume, probabilities(volume), 0.5, tmp_path / "out", NETWORK):
        run = subprocess.run([validator, "-new", path], capture_output=True, text=True, check=False)
        lines = (run.stdout + run.stderr).splitlines()
        assert "Segmentation" in lines
        assert [line for line in lines if line.startswith("Error")] == []


def test_a_voxel_of_exactly_the_threshold_is_in_the_mask() -> None:
    (bits,) = _encoded(np.array([[[0.25, 0.5, 0.75]]], np.float32), [0], 0.5)
    mask = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")
    assert mask[:3].tolist() == [0, 1, 1]
