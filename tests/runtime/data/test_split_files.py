"""A written split is read back, whatever the paths; images that moved are found again."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from runtime.cli.data import main
from runtime.core.errors import AnnotationError, DataError
from runtime.data.audit import audit_dataset
from runtime.data.coco import Dataset, read_dataset
from runtime.data.grouped_split import split_by_group
from runtime.data.manifest import manifest_sha256
from runtime.data.samples import VolumeSlice
from runtime.data.split_files import locate_images, write_split
from tests.runtime.data.test_audit import make_data, noise

COCO_FILE = "_annotations.coco.json"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    splits = {"train": "abcdef", "valid": "gh", "test": "ij"}
    make_data(
        tmp_path / "data",
        {name: {f"{x}.png": noise(ord(x)) for x in letters} for name, letters in splits.items()},
    )
    return tmp_path / "data"


def written(folder: Path, target: Path) -> Dataset:
    dataset = read_dataset(folder)
    return write_split(dataset, split_by_group(dataset, audit_dataset(dataset)), target)


def images(dataset: Dataset) -> set[Path]:
    parts = (dataset.split(name) for name in dataset.splits)
    return {sample.path.resolve() for part in parts for sample in part.samples}


def test_absolute_names_in_a_relative_folder(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in data.glob(f"*/{COCO_FILE}"):
        content = json.loads(path.read_text())
        for image in content["images"]:
            image["file_name"] = str(path.parent / image["file_name"])
        path.write_text(json.dumps(content))
    monkeypatch.chdir(tmp_path)
    assert images(written(Path("data"), Path("new"))) == set(data.glob("*/*.png"))
    assert images(written(data, tmp_path / "other")) == set(data.glob("*/*.png"))


@pytest.mark.parametrize("stated", [True, False])
def test_empty_masks_stay_what_the_data_set_says(data: Path, tmp_path: Path, stated: bool) -> None:
    """An image without an annotation has an empty mask, or an annotation may be missing."""
    for path in data.glob(f"*/{COCO_FILE}"):
        content = json.loads(path.read_text())
        content.setdefault("info", {})["empty_masks"] = stated
        content["annotations"] = content["annotations"][1:]
        path.write_text(json.dumps(content))
    new = written(data, tmp_path / "new")
    splits = [new.splits[name] for name in new.splits]
    assert [split.empty_masks for split in splits] == [stated] * len(splits)
    missing = [defect for split in splits for defect in split.defects]
    assert len(missing) == (0 if stated else 3)
    assert sum(not sample.annotations for split in splits for sample in split.samples) == 3


def test_slices_keep_their_volume(data: Path, tmp_path: Path) -> None:
    for path in data.glob(f"*/{COCO_FILE}"):
        content = json.loads(path.read_text())
        for number, image in enumerate(content["images"]):
            image |= {"volume": path.parent.name, "slice": number, "slice_spacing": 2.5}
        path.write_text(json.dumps(content))
    old = {
        s.path: s.slice
        for name in ("train", "test")
        for s in read_dataset(data).split(name).samples
    }
    new = written(data, tmp_path / "new")
    found = {s.path: s.slice for name in new.splits for s in new.split(name).samples}
    assert {path: found[path] for path in old} == old
    assert VolumeSlice("train", 2, 2.5) in found.values()


def test_folders_of_splits_that_are_links(data: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    for name in ("train", "valid", "test"):
        shutil.move(data / name, tmp_path / f"my-{name}")
        (tmp_path / "links" / name).symlink_to(tmp_path / f"my-{name}")
    expected = set(tmp_path.glob("my-*/*.png"))
    assert images(written(tmp_path / "links", tmp_path / "new")) == expected
    again = written(tmp_path / "new", tmp_path / "again")
    assert images(again) == expected


def test_a_link_elsewhere_is_refused_all_the_same(data: Path, tmp_path: Path) -> None:
    """Only the folders of splits may be links: not any folder that a COCO file names."""
    written(data, tmp_path / "new")
    (tmp_path / "secret").mkdir()
    shutil.copy(data / "train" / "a.png", tmp_path / "secret" / "a.png")
    (data / "more").symlink_to(tmp_path / "secret")
    path = tmp_path / "new" / "train" / COCO_FILE
    content = json.loads(path.read_text())
    content["images"][0]["file_name"] = "more/a.png"
    path.write_text(json.dumps(content))
    with pytest.raises(AnnotationError, match="a link that leads out"):
        read_dataset(tmp_path / "new").split("train")


def test_a_split_that_does_not_read_back_is_not_left_behind(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.data.split_files._place", lambda path, root: f"gone/{path.name}")
    with pytest.raises(DataError, match="could not be read back") as caught:
        written(data, tmp_path / "new")
    assert str(tmp_path / "new") in str(caught.value)
    assert ".writing" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_a_split_that_moved_says_what_it_needs_and_is_repaired(data: Path, tmp_path: Path) -> None:
    before = manifest_sha256(written(data, tmp_path / "new").splits.values())
    moved = tmp_path / "far" / "away" / "new"
    moved.parent.mkdir(parents=True)
    shutil.move(tmp_path / "new", moved)
    with pytest.raises(AnnotationError, match=r"'\.\./\.\./data'.*seg-data locate .*--images DIR"):
        read_dataset(moved).split("test")
    result = CliRunner().invoke(main, ["locate", str(moved), "--images", str(data)])
    assert result.exit_code == 0, result.output
    assert "10 images" in result.output
    again = read_dataset(moved)
    assert images(again) == set(data.glob("*/*.png"))
    assert manifest_sha256(again.splits.values()) == before


def test_a_place_without_the_images_changes_nothing(data: Path, tmp_path: Path) -> None:
    written(data, tmp_path / "new")
    before = {path: path.read_bytes() for path in (tmp_path / "new").rglob("*.json")}
    with pytest.raises(DataError, match="no image"):
        locate_images(tmp_path / "new", tmp_path)
    with pytest.raises(DataError, match="lie beside it"):
        locate_images(data, data)
    with pytest.raises(DataError, match="no COCO files"):
        locate_images(tmp_path, data)
    assert {path: path.read_bytes() for path in (tmp_path / "new").rglob("*.json")} == before


def test_one_split_becomes_three_by_shares(tmp_path: Path) -> None:
    """CVAT exports have a single split, `default`."""
    make_data(tmp_path / "data", {"default": {f"{n}x.png": noise(n) for n in range(20)}})
    runner = CliRunner()
    refused = runner.invoke(main, ["split", str(tmp_path / "data"), str(tmp_path / "new")])
    assert refused.exit_code == 2
    assert "one split, 'default'; give --shares 70/15/15" in refused.output
    given = ["split", str(tmp_path / "data"), str(tmp_path / "new"), "--shares", "70/15/15"]
    result = runner.invoke(main, given)
    assert result.exit_code == 0, result.output
    sizes = {n: len(s.samples) for n, s in read_dataset(tmp_path / "new").splits.items()}
    assert sizes == {"train": 14, "valid": 3, "test": 3}


def test_links_between_splits_are_counted_before_and_in_what_was_written(tmp_path: Path) -> None:
    images = {
        "train": {"a_jpg.rf.01.png": noise(0), "b.png": noise(1), "c.png": noise(2)},
        "test": {"a_jpg.rf.02.png": noise(9), "d.png": noise(1)[::-1], "e.png": noise(4)},
    }
    make_data(tmp_path / "data", images)
    result = CliRunner().invoke(main, ["split", str(tmp_path / "data"), str(tmp_path / "new")])
    assert result.exit_code == 0, result.output
    assert "Links between splits before: 2 (1 by name, 1 by look)." in result.output
    assert "in what was written: 0 (0 by name, 0 by look)." in result.output
    after = read_dataset(tmp_path / "new")
    assert sorted(len(split.samples) for split in after.splits.values()) == [3, 3]
