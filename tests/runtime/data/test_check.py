"""Examining data sets: what they hold, and what is wrong with them."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runtime.core.errors import AnnotationError, DataError, ImageError
from runtime.core.progress import Progress
from runtime.core.settings import MaskChoice
from runtime.data.check import check_dataset, group_defects
from runtime.data.coco import read_dataset

COCO = "_annotations.coco.json"


@pytest.fixture
def copy(phantom: Path, tmp_path: Path) -> Path:
    """A copy of the phantom set, to be damaged."""
    return Path(shutil.copytree(phantom, tmp_path / "copy"))


def coco(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / COCO).read_text())
    return content


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = coco(folder)
    change(content)
    (folder / COCO).write_text(json.dumps(content))


def first_image(folder: Path) -> Path:
    return folder / str(coco(folder)["images"][0]["file_name"])


def test_the_phantom_set_has_no_defect(phantom: Path) -> None:
    report = check_dataset(read_dataset(phantom))
    assert report.defects == ()
    assert report.usable
    assert report.root == phantom


def test_every_image_of_every_split_is_counted_once(phantom: Path) -> None:
    calls: list[Progress] = []
    check_dataset(read_dataset(phantom), on_progress=calls.append)
    images = len(list(phantom.glob("*/*.png")))
    assert calls == [Progress(n, images) for n in range(1, images + 1)]


def only_defect(root: Path, split: str, masks: MaskChoice = "auto") -> tuple[str, str, bool]:
    (defect,) = check_dataset(read_dataset(root), masks=masks).defects
    assert defect.split == split
    assert defect.where == first_image(root / split).name
    return defect.problem, defect.action, defect.fatal


def truncate(image: Path) -> None:
    image.write_bytes(image.read_bytes()[:-200])


def put_text(image: Path) -> None:
    image.write_text("no image")


def put_a_hole(image: Path) -> None:
    image.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncate, put_text, put_a_hole])
def test_an_image_that_cannot_be_decoded_is_refused_by_name(
    copy: Path, damage: Callable[[Path], None]
) -> None:
    damage(first_image(copy / "valid"))
    found, action, fatal = only_defect(copy, "valid")
    assert first_image(copy / "valid").name not in found  # `where` has it
    assert (action, fatal) == ("refused", True)
    assert not check_dataset(read_dataset(copy)).usable


def test_an_image_that_is_not_there_is_reported_once(copy: Path) -> None:
    first_image(copy / "test").unlink()
    found, action, fatal = only_defect(copy, "test")
    assert "no such image" in found
    assert (action, fatal) == ("refused", True)
    assert not check_dataset(read_dataset(copy)).usable


def test_an_image_of_another_size_than_stated_is_used_and_its_boxes_scaled(copy: Path) -> None:
    image = first_image(copy / "train")
    Image.open(image).resize((80, 80)).save(image)
    found, action, fatal = only_defect(copy, "train")
    assert "80x80" in found
    assert "64x64" in found
    assert "scaled" in action
    assert not fatal
    assert check_dataset(read_dataset(copy)).usable


def test_an_image_of_other_proportions_than_stated_is_refused_everywhere(copy: Path) -> None:
    image = first_image(copy / "train")
    Image.open(image).resize((80, 48)).save(image)
    found, action, _ = only_defect(copy, "train")
    assert "80x48 pixels, where the COCO file states 64x64" in found
    assert action == "refused"
    report = check_dataset(read_dataset(copy))
    assert not report.usable
    assert report.not_ready is not None
    assert "do not fit this image" in report.not_ready
    with pytest.raises(ImageError, match="do not fit this image"):
        read_dataset(copy).split("train").samples[0].load((32, 32))


def outline_the_first(folder: Path, segmentation: object) -> None:
    """Give the annotations of the first image this segmentation."""
    identity = coco(folder)["images"][0]["id"]

    def change(content: dict[str, Any]) -> None:
        for annotation in content["annotations"]:
            if annotation["image_id"] == identity:
                annotation["segmentation"] = segmentation

    edit(folder, change)


@pytest.mark.parametrize("segmentation", [None, [[1, 2]], {"size": [64, 64], "counts": [1]}])
def test_a_bad_segmentation_forbids_only_segmentation_masks(
    copy: Path, segmentation: object
) -> None:
    outline_the_first(copy / "train", segmentation)
    _, action, fatal = only_defect(copy, "train")
    assert "--masks segmentation" in action
    assert "--masks boxes" in action
    assert not fatal


def test_a_polygon_that_is_too_long_for_a_mask_of_the_images_size_is_found(copy: Path) -> None:
    """At a smaller size, as images are decoded at here, it would be short enough."""
    image = first_image(copy / "train")
    Image.open(image).resize((640, 640)).save(image)

    def enlarge(content: dict[str, Any]) -> None:
        content["images"][0] |= {"width": 640, "height": 640}

    edit(copy / "train", enlarge)
    outline_the_first(copy / "train", [[0, 0, 640, 640] * 10_000])
    found, action, _ = only_defect(copy, "train")
    assert "expected polygons with a perimeter of up to 4194304 pixels" in found
    assert action == "refused"
    _, action, _ = only_defect(copy, "train", "boxes")
    assert "refused with --masks segmentation" in action


@pytest.mark.parametrize(
    ("polygon", "pixels"),
    [
        ([0, 0, 1e9, 0, 1e9, 1e9], "1e+09"),
        ([10, 10, 20, 10, 20, -3], "3"),
        ([10, 10, 20, 10, 65, 20], "1"),
        ([10, 10, 20, 10, 20, 66.5], "2.5"),
    ],
)
def test_a_polygon_that_leaves_the_image_is_found(
    copy: Path, polygon: list[float], pixels: str
) -> None:
    outline_the_first(copy / "train", [[1, 5, 5, 9, 1, 9], polygon])
    found, action, fatal = only_defect(copy, "train")
    assert found == f"a polygon up to {pixels} pixels outside the image"
    assert (action, fatal) == ("clipped", False)
    assert check_dataset(read_dataset(copy)).usable


def test_a_polygon_that_is_rounded_out_of_the_image_is_no_defect(copy: Path) -> None:
    outline_the_first(copy / "train", [[-0.5, 0, 64.5, 0, 64, 64.5]])
    assert check_dataset(read_dataset(copy)).defects == ()


@pytest.mark.parametrize("segmentation", [None, []])
def test_a_data_set_of_boxes_alone_has_no_defect(copy: Path, segmentation: object) -> None:
    def change(content: dict[str, Any]) -> None:
        for annotation in content["annotations"]:
            annotation["segmentation"] = segmentation

    for split in ("train", "valid", "test"):
        edit(copy / split, change)
    assert check_dataset(read_dataset(copy)).defects == ()


def test_defects_of_the_coco_file_are_in_the_report(copy: Path) -> None:
    edit(copy / "test", lambda content: content["annotations"].clear())
    report = check_dataset(read_dataset(copy))
    assert {(d.split, d.problem) for d in report.defects} == {("test", "no annotation")}
    (test,) = (s for s in report.splits if s.name == "test")
    assert test.annotations == 0
    assert test.foreground_share == 0.0
    assert math.isnan(test.annotated_area)


def test_a_split_without_images_has_no_shares(copy: Path) -> None:
    edit(copy / "test", lambda content: (content["images"].clear(), content["annotations"].clear()))
    (test,) = (s for s in check_dataset(read_dataset(copy)).splits if s.name == "test")
    assert (test.images, test.annotations) == (0, 0)
    assert math.isnan(test.foreground_share)
    assert math.isnan(test.annotated_area)


def test_overlapping_boxes_are_counted_once_in_the_foreground(copy: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        (first, *_) = content["images"]
        content["images"] = [first]
        content["annotations"] = [
            {"id": n, "image_id": first["id"], "category_id": 1, "bbox": [0, 0, 32, 32]}
            for n in range(2)
        ]

    edit(copy / "train", change)
    train = check_dataset(read_dataset(copy)).splits[0]
    assert train.foreground_share == 0.25
    assert train.annotated_area == 32 * 32


def test_what_is_no_data_set_raises(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        check_dataset(read_dataset(tmp_path))
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / COCO).write_text("{}")
    with pytest.raises(AnnotationError):
        check_dataset(read_dataset(tmp_path))


def test_noise_of_a_scans_kind_is_no_defect(copy: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    Image.fromarray(pixels).save(first_image(copy / "valid"))
    assert check_dataset(read_dataset(copy)).defects == ()


@pytest.mark.parametrize("size", [(64, 60), (60, 64)])
def test_either_side_that_differs_from_the_stated_one_is_reported(
    copy: Path, size: tuple[int, int]
) -> None:
    image = first_image(copy / "train")
    Image.open(image).resize(size).save(image)
    found, action, _ = only_defect(copy, "train")
    assert f"{size[0]}x{size[1]} pixels, where the COCO file states 64x64" in found
    assert action == "refused"


def test_a_dark_16_bit_image_is_reported_and_used(copy: Path) -> None:
    path = first_image(copy / "train")
    with Image.open(path) as opened:
        levels = np.asarray(opened.convert("L")).astype(np.uint16) << 4
    Image.fromarray(levels).save(path, "PNG")
    (defect,) = check_dataset(read_dataset(copy)).defects
    assert (defect.where, defect.action) == (path.name, "used")
    assert defect.problem.startswith(
        f"levels up to {levels.max()} of 65535 use less than an eighth"
    )


# Ready to train


def lose_all_masks(content: dict[str, Any]) -> None:
    for annotation in content["annotations"]:
        annotation["image_id"] = "nowhere"


def test_a_split_that_loses_all_masks_is_refused(copy: Path) -> None:
    edit(copy / "train", lose_all_masks)
    report = check_dataset(read_dataset(copy))
    assert not report.usable
    assert report.not_ready is not None
    assert "annotations are dropped, so no mask is left" in report.not_ready
    with pytest.raises(AnnotationError, match="so no mask is left"):
        read_dataset(copy).split("train")
    assert read_dataset(copy).split("test").samples


def test_a_set_without_train_and_valid_is_not_ready(copy: Path) -> None:
    assert check_dataset(read_dataset(copy)).not_ready is None
    shutil.rmtree(copy / "valid")
    report = check_dataset(read_dataset(copy))
    assert report.usable
    assert report.not_ready == f"{copy}: no split 'valid'; the splits are train, test"
    lost = next(copy.glob("train/*.png"))
    lost.unlink()
    not_ready = check_dataset(read_dataset(copy)).not_ready
    assert not_ready is not None
    assert not_ready.startswith(f"{report.not_ready}; and train: {lost.name}: ")


def test_nothing_can_be_learned_without_annotations(copy: Path) -> None:
    edit(copy / "train", lambda content: content["annotations"].clear())
    not_ready = check_dataset(read_dataset(copy)).not_ready
    assert not_ready is not None
    assert "no annotation to train on" in not_ready


def test_a_file_in_two_splits_is_a_defect(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "annotations").mkdir()
    Image.new("L", (64, 64)).save(tmp_path / "images" / "a.png")
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 64, "height": 64}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 2, 30, 30]}],
        "categories": [{"id": 1, "name": "cell"}],
    }
    for split in ("train", "val"):
        (tmp_path / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    (defect,) = check_dataset(read_dataset(tmp_path)).defects
    assert (defect.split, defect.where) == ("valid", "a.png")
    assert defect.problem == "the same file is in the split 'train'"
    assert not defect.fatal


def test_width_and_height_that_are_exchanged_are_named_and_counted_once(tmp_path: Path) -> None:
    """Two images of one size: one kind of defect, whatever their names."""
    folder = tmp_path / "train"
    folder.mkdir()
    images = [{"id": n, "file_name": f"{n}.png", "width": 8, "height": 12} for n in range(2)]
    for image in images:
        Image.new("L", (12, 8)).save(folder / str(image["file_name"]))
    boxes = [{"id": n, "image_id": n, "category_id": 1, "bbox": [1, 1, 4, 4]} for n in range(2)]
    content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "cell"}]}
    (folder / COCO).write_text(json.dumps(content))
    (group,) = group_defects(check_dataset(read_dataset(tmp_path)).defects)
    assert len(group.defects) == 2
    assert group.kind.endswith("or width and height are exchanged")
