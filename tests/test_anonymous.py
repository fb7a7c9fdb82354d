"""`--anonymous-log`: no byte of any output holds a marker that is in all names and headers."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from runtime.cli.data import main as seg_data
from runtime.cli.predict import main as seg_predict
from runtime.core.pseudonyms import Pseudonyms
from runtime.data.coco import read_dataset
from tests.support.dicom_data import image, saved, series
from tests.support.model_builder import ModelBuilder

MARKER = "QXZDOE"
VOXELS = np.random.default_rng(21).integers(0, 2000, (3, 16, 16)).astype(np.int16)
HEADER: dict[str, Any] = {
    "PatientName": f"{MARKER}^JANE",
    "PatientID": f"{MARKER}17",
    "OtherPatientIDs": [MARKER],
    "PatientComments": MARKER,
    "StudyID": MARKER,
    "StudyDescription": f"Head of {MARKER}",
    "SeriesDescription": MARKER,
    "AccessionNumber": MARKER,
    "InstitutionName": MARKER,
    "ReferringPhysicianName": MARKER,
    "ImageComments": MARKER,
    "ProtocolName": MARKER,
    "DeviceSerialNumber": MARKER,
    "ImageType": ["ORIGINAL", "PRIMARY", MARKER],
}


def call(command: click.Command, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def outputs(run: Result, *folders: Path) -> Iterator[tuple[str, bytes]]:
    """Yield what a command printed, and the names and contents of all files that it wrote."""
    yield "output", run.output.encode()
    for folder in folders:
        for path in folder.rglob("*"):
            yield "name", str(path.relative_to(folder)).encode()
            if path.is_file():
                content = path.read_bytes()
                yield path.name, gzip.decompress(content) if path.suffix == ".gz" else content


def ensure_clean(run: Result, *folders: Path) -> None:
    for where, content in outputs(run, *folders):
        for marker in (MARKER.encode(), MARKER.lower().encode(), MARKER.encode("utf-16-le")):
            assert marker not in content, (where, content[:200])


@pytest.fixture
def network(build_onnx: ModelBuilder, tmp_path: Path) -> Path:
    return build_onnx(tmp_path / "net.onnx")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Series, a picture and a NIfTI file of a patient named everywhere; some are damaged."""
    nib = pytest.importorskip("nibabel")
    pytest.importorskip("highdicom")
    root = tmp_path / f"{MARKER}, Jane"
    uids = {"SeriesInstanceUID": "1.2.7", "StudyInstanceUID": "1.3.7"}
    series(root / f"{MARKER} head", VOXELS, **HEADER, **uids)
    series(root / f"gaps {MARKER}", VOXELS, **HEADER, SeriesInstanceUID="1.2.8")
    (root / f"gaps {MARKER}" / "007").unlink()  # the second of three slices
    broken = series(root / "broken", VOXELS, **HEADER, SeriesInstanceUID="1.2.9")
    (broken / "000").rename(broken / f"{MARKER}.dcm")
    (broken / f"{MARKER}.dcm").write_bytes((broken / f"{MARKER}.dcm").read_bytes()[:-9])
    saved(image(VOXELS[0], **HEADER, Modality=MARKER), root / "one" / f"{MARKER}_1")
    Image.new("L", (20, 10)).save(root / f"{MARKER}.png")
    (root / f"{MARKER}2.png").write_bytes(b"\x89PNG damaged")
    made = nib.Nifti1Image(VOXELS.astype(np.float32), np.eye(4))
    for name in ("descrip", "aux_file", "db_name", "intent_name"):
        made.header[name] = MARKER.encode()
    nib.save(made, root / f"{MARKER}.nii.gz")
    (root / "short.nii").write_bytes((root / f"{MARKER}.nii.gz").read_bytes()[:50])
    return root


def test_predictions_and_tables_name_no_patient(
    network: Path, archive: Path, tmp_path: Path
) -> None:
    pydicom, out = pytest.importorskip("pydicom"), tmp_path / "out"
    options = ("--threshold", 0.4, "--size", 32, "--on-error", "skip", "--out", out)
    plain = call(seg_predict, network, archive, *options[:-1], tmp_path / "plain")
    assert MARKER in plain.output
    names = tmp_path / "names.csv"
    run = call(seg_predict, network, archive, *options, "--anonymous-log", "--names", names)
    assert run.exit_code == 0, run.output
    ensure_clean(run, out)
    assert "1 image, 3 series, 1 volume, 3 skipped" in run.output
    assert "truncated" in run.output
    assert len(list(out.glob("scan-*.overlay.png"))) == 5
    rows = names.read_text().splitlines()
    assert f"{archive / MARKER}.png" in names.read_text()
    assert len(rows) == 1 + 8
    for path in out.glob("*.dcm"):
        made = pydicom.dcmread(path)
        assert made.PatientName == made.PatientID == path.name.split(".")[0]
        assert made.StudyInstanceUID in ("1.3.7", "1.2.3")
    listed = json.loads((out / "masks.json").read_text())["images"]
    assert [entry["file_name"][:5] for entry in listed] == ["scan-"]


def test_errors_that_end_a_prediction_name_no_patient(
    network: Path, archive: Path, tmp_path: Path
) -> None:
    for place, words in (
        (archive / "broken", "truncated, or its header is wrong"),
        (archive / f"{MARKER}2.png", "not a JPEG, PNG, BMP"),
        (archive / f"{MARKER}3.png", "no such image or folder"),
        (archive / "*.bmp", "no such image or folder"),
        (archive / "short.nii", "truncated, the compressed data"),
    ):
        run = call(seg_predict, network, place, "--anonymous-log", "--size", 32)
        assert run.exit_code == 2
        assert words in run.output
        ensure_clean(run)


def test_results_that_would_replace_an_image_are_told_without_its_name(
    network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / MARKER
    folder.mkdir()
    Image.new("L", (8, 8)).save(folder / "scan-1.png")
    monkeypatch.setattr(Pseudonyms, "of", lambda self, path: "x")
    Image.new("L", (8, 8)).save(folder / "x.overlay.png")
    run = call(seg_predict, network, folder, "--anonymous-log", "--out", folder)
    assert run.exit_code == 2
    ensure_clean(run)


def test_imports_of_series_name_no_patient(network: Path, archive: Path, tmp_path: Path) -> None:
    options = ("--threshold", 0.4, "--size", 32, "--on-error", "skip", "--out", archive / "seg")
    assert call(seg_predict, network, archive / f"{MARKER} head", *options).exit_code == 0
    out = tmp_path / "set"
    run = call(seg_data, "import", archive, out, "--anonymous-log", "--split", "test")
    assert run.exit_code == 0, run.output
    ensure_clean(run, out)
    assert "a series without a segmentation" in run.output
    (sample, *_) = read_dataset(out).split("test").samples
    assert (sample.file_name, sample.patient) == ("images/scan0001/slice0000.png", "patient0001")


def test_imports_of_volumes_name_no_patient(tmp_path: Path) -> None:
    nib = pytest.importorskip("nibabel")
    root, out = tmp_path / MARKER, tmp_path / "set"
    for number in range(3):
        for folder in ("imagesTr", "labelsTr"):
            path = root / folder / f"{MARKER}_{number}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            voxels = np.zeros((8, 8, 3 + (number == 2 and folder == "labelsTr")), np.uint8)
            voxels[2:5, 2:5] = 1
            nib.save(nib.Nifti1Image(voxels, np.eye(4)), path)
    (root / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "tumor": 1}}))
    run = call(seg_data, "import", root, out, "--anonymous-log", "--split", "test")
    assert run.exit_code == 0, run.output
    ensure_clean(run, out)
    assert "1 scan" in run.output
    samples = read_dataset(out).split("test").samples
    assert {sample.patient for sample in samples} == {"patient0001", "patient0002"}


def test_pictures_are_not_imported_under_other_names(tmp_path: Path) -> None:
    root = tmp_path / MARKER
    root.mkdir()
    for name in (f"{MARKER}.png", f"{MARKER}_mask.png"):
        Image.new("L", (8, 8)).save(root / name)
    run = call(seg_data, "import", root, tmp_path / "set", "--anonymous-log")
    assert run.exit_code == 2
    assert "pictures stay in their place" in run.output
    ensure_clean(run)


def test_a_reason_that_names_a_file_is_withheld(tmp_path: Path) -> None:
    folder = tmp_path / MARKER
    folder.mkdir()
    (folder / "Jane_mask.png").touch()
    names = Pseudonyms([folder])
    known = names.of(folder)
    assert names.message(f"{folder}/Jane_mask.png: damaged") == f"{known}: damaged"
    for text in ("the mask jane_mask.png is", f"of {MARKER}", "of Jane_mask", f"x {folder}"):
        assert names.message(f"{folder}: {text}") == (
            f"{known}: its reason is not shown, because it names a file or folder"
        )


def test_pseudonyms_are_new_in_every_run_and_one_within() -> None:
    first, second = Pseudonyms(["a"]), Pseudonyms(["a"])
    assert first.of("a") == first.of("./a") != second.of("a")


def test_names_are_written_for_pseudonyms_only(network: Path, tmp_path: Path) -> None:
    run = call(seg_predict, network, tmp_path, "--names", tmp_path / "n.csv")
    assert run.exit_code == 2
    assert "--names needs --anonymous-log" in run.output
