"""The fingerprint of a data set."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from runtime.core.errors import AnnotationError, ImageError
from runtime.data.coco import Dataset, read_dataset
from runtime.data.layouts import ROBOFLOW_FILE
from runtime.data.manifest import manifest_sha256


@pytest.fixture
def copy(phantom: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(phantom, tmp_path / "copy"))


def fingerprint(root: Path) -> str:
    return manifest_sha256(read_dataset(root).splits.values())


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_it_is_the_hash_of_the_manifest_that_the_docstring_describes(
    phantom: Path, phantom_data: Dataset
) -> None:
    lines = []
    for name in ("train", "valid", "test"):
        folder = phantom / name
        files = ["_annotations.coco.json", *(s.file_name for s in phantom_data.split(name).samples)]
        lines += [f"{name}\t{file}\t{sha256(folder / file)}\n" for file in files]
    assert len(lines) == 3 + sum(len(s.samples) for s in phantom_data.splits.values())
    expected = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert manifest_sha256(phantom_data.splits.values()) == expected


def test_a_line_has_the_image_s_name_as_in_the_coco_file(copy: Path) -> None:
    coco = copy / "test" / ROBOFLOW_FILE
    content = json.loads(coco.read_text())
    names = [f"scans/{image['file_name']}" for image in content["images"]]
    (copy / "test" / "scans").mkdir()
    for image, name in zip(content["images"], names, strict=True):
        (copy / "test" / image["file_name"]).rename(copy / "test" / name)
        image["file_name"] = name
    coco.write_text(json.dumps(content))
    lines = [f"test\t{name}\t{sha256(copy / 'test' / name)}\n" for name in (coco.name, *names)]
    expected = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert manifest_sha256([read_dataset(copy).split("test")]) == expected


def test_a_copy_elsewhere_has_the_same_fingerprint(phantom: Path, copy: Path) -> None:
    assert fingerprint(copy) == fingerprint(phantom)


def test_one_changed_byte_changes_it(phantom: Path, copy: Path) -> None:
    image = sorted((copy / "valid").glob("*.png"))[0]
    content = bytearray(image.read_bytes())
    content[-1] ^= 1
    image.write_bytes(content)
    assert fingerprint(copy) != fingerprint(phantom)


def test_an_annotation_file_that_reads_the_same_but_differs_changes_it(
    phantom: Path, copy: Path
) -> None:
    coco = copy / "test" / "_annotations.coco.json"
    coco.write_text(coco.read_text() + " ")
    assert fingerprint(copy) != fingerprint(phantom)


def test_splits_and_their_order_count(phantom_data: Dataset) -> None:
    train, valid = phantom_data.split("train"), phantom_data.split("valid")
    found = {manifest_sha256(s) for s in ([train], [valid], [train, valid], [valid, train], [])}
    assert len(found) == 5


def test_a_missing_file_is_named(copy: Path) -> None:
    data = read_dataset(copy)
    (copy / "train" / data.split("train").samples[0].file_name).unlink()
    (copy / "test" / "_annotations.coco.json").unlink()
    with pytest.raises(ImageError, match=data.split("train").samples[0].file_name):
        manifest_sha256([data.split("train")])
    with pytest.raises(AnnotationError, match=r"_annotations\.coco\.json"):
        manifest_sha256([data.splits["test"]])


def test_where_a_file_lies_that_refers_to_images_elsewhere_does_not_count(
    phantom: Path, tmp_path: Path
) -> None:
    content = json.loads((phantom / "train" / ROBOFLOW_FILE).read_text())
    for image in content["images"]:
        image["file_name"] = f"train/{image['file_name']}"

    def written(root: Path) -> str:
        (root / "train").mkdir(parents=True)
        place = os.path.relpath(phantom.resolve(), (root / "train").resolve())
        content["info"] = {"image_root": place, "description": f"in {root}"}
        (root / "train" / ROBOFLOW_FILE).write_text(json.dumps(content))
        return fingerprint(root)

    first = written(tmp_path / "a")
    assert first == written(tmp_path / "deeper" / "b")
    content["annotations"][0]["bbox"][0] += 1
    assert first != written(tmp_path / "c")
