"""NIfTI data sets: the Decathlon's layout, nnU-Net's, and BIDS derivatives, against nibabel."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from runtime.core.errors import ConfigError, DataError
from runtime.data.coco import read_dataset
from runtime.data.imports.config import ImportConfig
from runtime.data.imports.import_dataset import ImportReport, import_dataset
from runtime.data.samples import Sample, VolumeSlice
from runtime.data.volumes.spec import VolumeSpec

nib = pytest.importorskip("nibabel")

SHAPE = (12, 14, 4)
AFFINE = np.array([[-1.5, 0, 0, 9], [0, 1, 0.1, -7], [0, -0.1, 4, 2], [0, 0, 0, 1]])


def save(path: Path, voxels: NDArray[Any], affine: NDArray[Any] = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, affine), path)
    return path


def labels_of(seed: int) -> NDArray[np.uint8]:
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:6, 3:9, 1 : 3 + seed % 2] = 1
    labels[4:6, 5 : 7 + seed, 2] = 2
    return labels


def scan_of(seed: int) -> NDArray[np.int16]:
    return np.random.default_rng(seed).normal(40, 300, SHAPE).astype(np.int16)


@pytest.fixture(scope="module")
def decathlon(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("msd") / "Task99_Head"
    for seed in range(4):
        save(root / "imagesTr" / f"head_{seed}.nii.gz", scan_of(seed))
        save(root / "labelsTr" / f"head_{seed}.nii.gz", labels_of(seed))
    content = {"labels": {"0": "background", "1": "edema", "2": "core"}, "licence": "CC-BY-SA 4.0"}
    (root / "dataset.json").write_text(json.dumps(content))
    return root


def imported(source: Path, out: Path, **settings: Any) -> ImportReport:
    return import_dataset(source, out, ImportConfig(**settings))


def samples(report: ImportReport) -> dict[str, Sample]:
    splits = [report.dataset.split(name) for name in report.dataset.splits]
    return {sample.file_name: sample for split in splits for sample in split.samples}


def canonical(voxels: NDArray[Any]) -> NDArray[Any]:
    """Return axial slices, rows to the back and columns to the left, of an array with AFFINE."""
    return voxels[:, ::-1, :].transpose(2, 1, 0)


def test_slices_are_the_volumes_and_masks_the_labels(decathlon: Path, tmp_path: Path) -> None:
    report = imported(decathlon, tmp_path / "set")
    assert report.patients == {"train": 2, "valid": 1, "test": 1}
    assert report.dataset.license == "CC-BY-SA 4.0"
    found = samples(report)
    assert len(found) == 16
    for seed in range(4):
        values = canonical(scan_of(seed)).astype(float)
        low, high = np.percentile(values, (0.5, 99.5), method="inverted_cdf")
        gray = np.rint(np.clip((values - low) / (high - low), 0, 1) * 255)
        for index in range(4):
            sample = found[f"images/head_{seed}/slice{index:04d}.png"]
            assert sample.patient == f"head_{seed}"
            distance = float(np.linalg.norm(AFFINE[:, 2].astype(np.float32).astype(float)))
            assert sample.slice == VolumeSlice(f"head_{seed}", index, distance)
            np.testing.assert_array_equal(np.asarray(Image.open(sample.path)), gray[index])
            expected = canonical(labels_of(seed))[index]
            mask = sample.mask(expected.shape, "segmentation")
            np.testing.assert_array_equal(mask, expected > 0)
            named = {a.category for a in sample.annotations}
            assert named == {
                ("edema", "core")[level - 1] for level in np.unique(expected[expected > 0])
            }


def test_the_rule_of_the_slices_is_recorded_and_read(decathlon: Path, tmp_path: Path) -> None:
    spec = VolumeSpec("coronal", "window", -160.0, 240.0)
    report = imported(decathlon, tmp_path / "set", volumes=spec, labels=("core",), keep_empty=0.0)
    again = read_dataset(tmp_path / "set")
    assert all(again.split(name).volumes == spec for name in again.splits)
    assert list(again.split("train").annotations) == ["core"]
    values = scan_of(0)[:, ::-1, ::-1].transpose(1, 2, 0).astype(float)
    gray = np.rint(np.clip((values + 160) / 400, 0, 1) * 255)
    expected = (labels_of(0)[:, ::-1, ::-1] == 2).transpose(1, 2, 0)
    kept = [index for index in range(14) if expected[index].any()]
    found = {n: s for n, s in samples(report).items() if s.patient == "head_0"}
    assert list(found) == [f"images/head_0/slice{index:04d}.png" for index in kept]
    for index, sample in zip(kept, found.values(), strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(sample.path)), gray[index])
        np.testing.assert_array_equal(sample.mask((4, 12), "segmentation"), expected[index])


def test_a_set_may_be_moved_and_its_rule_must_be_one(decathlon: Path, tmp_path: Path) -> None:
    imported(decathlon, tmp_path / "set")
    (tmp_path / "set").rename(tmp_path / "moved")
    dataset = read_dataset(tmp_path / "moved")
    assert dataset.split("test").samples[0].load().original_size == (14, 12)
    path = tmp_path / "moved/test/_annotations.coco.json"
    path.write_text(path.read_text().replace('"low": 0.5', '"low": 100'))
    with pytest.raises(DataError, match=r"volumes: volumes: expected percentiles 0 <= low < high"):
        read_dataset(tmp_path / "moved").split("test")


def test_what_does_not_fit_is_named_and_leaves_no_slices(decathlon: Path, tmp_path: Path) -> None:
    root = tmp_path / "source"
    for name in ("a", "b", "c", "size", "place", "half", "lone", "cut"):
        save(root / "imagesTr" / f"{name}.nii", scan_of(0))
        save(root / "labelsTr" / f"{name}.nii", labels_of(0))
    save(root / "labelsTr/size.nii", labels_of(0)[:, :, :3])
    save(root / "labelsTr/place.nii", labels_of(0), AFFINE + np.eye(4, k=3) * 3)
    save(root / "labelsTr/half.nii", labels_of(0).astype(np.float32) / 2)
    save(root / "labelsTr/alone.nii", labels_of(0))
    (root / "labelsTr/lone.nii").unlink()
    (root / "imagesTr/cut.nii").write_bytes((root / "imagesTr/cut.nii").read_bytes()[:500])
    (root / "dataset.json").write_text("{}")
    report = imported(root, tmp_path / "set")
    assert {defect.where: defect.reason for defect in report.defects} == {
        "size": "a mask of another size than its image",
        "place": "a mask at another place",
        "half": "labels that are no whole numbers",
        "labelsTr/alone.nii": "a mask without its image",
        "imagesTr/lone.nii": "an image without a mask",
        "cut": "a file that cannot be read",
    }
    assert sorted(path.name for path in (tmp_path / "set/images").iterdir()) == ["a", "b", "c"]
    problems = {defect.where: defect.problem for defect in report.defects}
    assert problems["size"] == "4x14x12 voxels, but the mask size.nii has 3x14x12"
    assert problems["place"] == "the mask place.nii is at another place, 3 mm away"


def test_labels_in_another_stored_order_are_the_same_labels(
    decathlon: Path, tmp_path: Path
) -> None:
    for seed in range(3):
        save(tmp_path / "source/imagesTr" / f"{seed}.nii", scan_of(seed))
        flipped = nib.Nifti1Image(labels_of(seed), AFFINE)
        turned = flipped.as_reoriented(nib.orientations.axcodes2ornt("SAL"))
        nib.save(turned, save(tmp_path / "source/labelsTr" / f"{seed}.nii", labels_of(seed)))
    (tmp_path / "source/dataset.json").write_text("{}")
    report = imported(tmp_path / "source", tmp_path / "set")
    assert report.defects == ()
    sample = samples(report)["images/1/slice0002.png"]
    expected = canonical(labels_of(1))[2] > 0
    np.testing.assert_array_equal(sample.mask((14, 12), "segmentation"), expected)


def test_one_of_several_volumes_or_channels_is_chosen(tmp_path: Path) -> None:
    root = tmp_path / "source"
    for seed in range(3):
        both = np.stack([scan_of(seed), scan_of(seed + 9)], axis=3)
        save(root / "imagesTr" / f"four_{seed}.nii.gz", both)
        save(root / "labelsTr" / f"four_{seed}.nii.gz", labels_of(seed))
        for channel in range(2):
            save(root / f"imagesTr/split_{seed}_{channel:04d}.nii.gz", both[..., channel])
        save(root / "labelsTr" / f"split_{seed}.nii.gz", labels_of(seed))
    (root / "dataset.json").write_text('{"labels": {"background": 0, "tumor": 1}}')
    with pytest.raises(ConfigError, match=r"no label 'other'; the labels are 'tumor'$"):
        imported(root, tmp_path / "none", labels=("other",))
    report = imported(root, tmp_path / "second", volume=2)
    assert report.defects == ()
    found = samples(report)
    values = canonical(scan_of(9)).astype(float)
    low, high = np.percentile(values, (0.5, 99.5), method="inverted_cdf")
    gray = np.rint(np.clip((values[1] - low) / (high - low), 0, 1) * 255)
    for name in ("four_0", "split_0"):
        pixels = np.asarray(Image.open(found[f"images/{name}/slice0001.png"].path))
        np.testing.assert_array_equal(pixels, gray)
    first = imported(root, tmp_path / "first")
    assert {defect.where for defect in first.defects} == {"four_0", "four_1", "four_2"}


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    root = tmp_path / "study"
    for number in range(1, 4):
        for modality in ("T1w", "FLAIR"):
            save(root / f"sub-{number}/anat/sub-{number}_{modality}.nii.gz", scan_of(number))
    return root


def test_bids_masks_find_their_image_by_its_entities(bids: Path, tmp_path: Path) -> None:
    for number in range(1, 4):
        folder = bids / f"derivatives/lesions/sub-{number}/anat"
        whole = labels_of(number)
        for level, name in ((1, "edema"), (2, "core")):
            path = folder / f"sub-{number}_label-{name}_mask.nii.gz"
            save(path, (whole == level).astype(np.uint8))
    with pytest.raises(
        DataError, match=r"_mask.nii.gz: several images may belong to it \(FLAIR, T1w\)"
    ):
        imported(bids, tmp_path / "set")
    report = imported(bids, tmp_path / "set", modality="FLAIR")
    assert (report.layout, report.patients_from) == ("BIDS derivatives", "subjects")
    assert {sample.patient for sample in samples(report).values()} == {"sub-1", "sub-2", "sub-3"}
    sample = samples(report)["images/sub-1_FLAIR/slice0002.png"]
    assert {a.category for a in sample.annotations} == {"core", "edema"}
    expected = canonical(labels_of(1))[2] > 0
    np.testing.assert_array_equal(sample.mask((14, 12), "segmentation"), expected)


def test_bids_tables_name_the_labels_of_a_segmentation(bids: Path, tmp_path: Path) -> None:
    for number in range(1, 4):
        folder = bids / f"derivatives/seg/sub-{number}/anat"
        save(folder / f"sub-{number}_T1w_dseg.nii.gz", labels_of(number))
        (folder / f"sub-{number}_T1w_dseg.tsv").write_text("index\tname\n0\tnone\n2\tcore\nx\ty\n")
    save(bids / "derivatives/seg/sub-9/anat/sub-9_T1w_dseg.nii.gz", labels_of(0))
    report = imported(bids, tmp_path / "set")
    names = {a.category for sample in samples(report).values() for a in sample.annotations}
    assert names == {"core", "label 1"}
    (defect,) = report.defects
    assert defect.reason == "a mask without its image"


def test_a_source_without_labels_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "source/imagesTr/a.nii", scan_of(0))
    (tmp_path / "source/dataset.json").write_text("{}")
    with pytest.raises(DataError, match=r"source: no label volumes in labelsTr$"):
        imported(tmp_path / "source", tmp_path / "set")
    (tmp_path / "source/labelsTr").mkdir()
    (tmp_path / "source/labelsTr/a.nii").write_bytes(b"x")
    with pytest.raises(DataError, match=r"source: nothing can be imported; the first: a: .*NIfTI"):
        imported(tmp_path / "source", tmp_path / "set")
