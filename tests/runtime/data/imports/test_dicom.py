"""DICOM series with segmentations as a data set."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from runtime.core.errors import DataError
from runtime.data.imports.config import ImportConfig
from runtime.data.imports.import_dataset import import_dataset
from runtime.data.volumes.dicom_seg import write_dicom
from runtime.data.volumes.dicom_series import read_dicom
from runtime.data.volumes.volume import PredictedBy
from tests.support.dicom_data import series

pytest.importorskip("highdicom")
pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning:pydicom", "ignore::UserWarning:highdicom"
)

VOXELS = np.random.default_rng(20).integers(0, 2000, (3, 16, 16)).astype(np.int16)
PATIENTS = ("SECRET1", "SECRET1", "SECRET2", "SECRET3")


def mask_of(number: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    mask = np.zeros(VOXELS.shape, np.float32)
    mask[1:, 2 : 6 + number, 3:9] = 1.0
    return mask


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four series of three patients, each with a segmentation, and one without."""
    root = tmp_path_factory.mktemp("scans") / "SECRET^ARCHIVE"
    for number, patient in enumerate(PATIENTS):
        uids = {"SeriesInstanceUID": f"1.2.{number}", "StudyInstanceUID": f"1.3.{number}"}
        folder = series(root / f"{number}", VOXELS, PatientID=patient, **uids)
        network = PredictedBy("unet.onnx", "00", "tumor" if number else "edema")
        volume = read_dicom(folder)
        write_dicom(volume, mask_of(number), 0.5, root / f"{number}" / "seg", network)
        (root / f"{number}" / "seg.probability.dcm").unlink()
    series(root / "alone", VOXELS, SeriesInstanceUID="1.2.9")
    return root


def test_masks_patients_and_spacing_arrive_and_no_patients_data(
    scans: Path, tmp_path: Path
) -> None:
    report = import_dataset(scans, tmp_path / "set", ImportConfig(shares="50/25/25"))
    assert [defect.problem for defect in report.defects] == ["a series without a segmentation"]
    samples = [s for split in report.dataset.splits.values() for s in split.samples]
    assert len(samples) == len(PATIENTS) * 3
    rules = [split.volumes for split in report.dataset.splits.values()]
    assert [rule and rule.modalities for rule in rules] == [("CT",)] * 3
    by_patient: dict[str, set[str]] = {}
    for name, split in report.dataset.splits.items():
        for sample in split.samples:
            assert sample.patient is not None
            by_patient.setdefault(sample.patient, set()).add(name)
    assert len(by_patient) == 3
    assert all(len(names) == 1 for names in by_patient.values())
    for sample in samples:
        scan, number = int(sample.file_name[13:17]) - 1, int(sample.file_name[-5])
        assert np.array_equal(sample.mask((16, 16), "segmentation"), mask_of(scan)[number])
        assert {a.category for a in sample.annotations} <= {"tumor" if scan else "edema"}
        assert sample.spacing == (0.5, 0.25)
    for path in (tmp_path / "set").rglob("*"):
        assert "SECRET" not in str(path.relative_to(tmp_path))
        if path.suffix == ".json":
            content = json.loads(path.read_text())
            content["info"].pop("description")  # the name of the folder, which the user chose
            assert "SECRET" not in json.dumps(content)


def test_a_segmentation_without_its_images_is_told(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(scans / "0" / "seg.mask.dcm", tmp_path / "in" / "a.dcm")
    with pytest.raises(DataError, match="no source images of the segmentation a"):
        import_dataset(tmp_path / "in", tmp_path / "out")
    shutil.copytree(scans / "1", tmp_path / "in" / "1")
    report = import_dataset(tmp_path / "in", tmp_path / "out", ImportConfig(split="test"))
    (defect,) = report.defects
    assert (defect.where, defect.problem) == (
        "a.dcm", "a segmentation whose source images are not there"
    )  # fmt: skip


def test_without_any_segmentation_there_is_nothing_to_import(tmp_path: Path) -> None:
    series(tmp_path / "in", VOXELS)
    with pytest.raises(DataError, match="no segmentation among its DICOM files"):
        import_dataset(tmp_path / "in", tmp_path / "out")


def test_a_damaged_file_is_passed_over_and_told(scans: Path, tmp_path: Path) -> None:
    shutil.copytree(scans / "1", tmp_path / "in")
    broken = (tmp_path / "in" / "000").read_bytes()[:-9]
    (tmp_path / "in" / "broken").write_bytes(broken)
    report = import_dataset(tmp_path / "in", tmp_path / "out", ImportConfig(split="test"))
    assert ["truncated" in defect.problem for defect in report.defects] == [True]
