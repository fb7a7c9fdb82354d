"""Skipping the images of a split that cannot be read."""

import json
import shutil
from pathlib import Path

import pytest

from runtime.core.errors import AnnotationError, DataError
from runtime.core.progress import Progress
from runtime.data.coco import read_dataset
from runtime.data.readable import readable_part


def test_samples_that_cannot_be_read_are_skipped_by_name(phantom: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(phantom, tmp_path / "data"))
    first, *rest = [s.file_name for s in read_dataset(data).split("train").samples]
    (data / "train" / first).unlink()
    dataset = read_dataset(data)
    with pytest.raises(AnnotationError, match="no such image in"):
        dataset.split("train")
    split = dataset.split("train", allow_missing=True)
    calls: list[Progress] = []
    readable, skipped = readable_part(split, (32, 32), on_progress=calls.append)
    assert [sample.file_name for sample in readable.samples] == rest
    assert [(image.split, image.file) for image in skipped] == [("train", first)]
    assert calls == [Progress(n + 1, len(rest) + 1, "read train") for n in range(len(rest) + 1)]
    for path in (data / "train").glob("*.png"):
        path.write_text("no image")
    with pytest.raises(DataError, match="none of the images can be read; the first: "):
        readable_part(split, (32, 32))


def test_a_sample_is_read_with_the_masks_that_are_asked_for(phantom: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(phantom, tmp_path / "data"))
    path = data / "train" / "_annotations.coco.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["segmentation"] = [[1, 2]]
    path.write_text(json.dumps(content))
    split = read_dataset(data).split("train")
    assert readable_part(split, (32, 32))[1] == ()
    (skipped,) = readable_part(split, (32, 32), masks="segmentation")[1]
    assert skipped.file == content["images"][0]["file_name"]
    assert "segmentation: expected polygons" in skipped.reason
