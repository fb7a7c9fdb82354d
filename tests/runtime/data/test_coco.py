"""Reading COCO data sets: both layouts, and each defect with what is done about it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runtime.core.errors import AnnotationError, DataError
from runtime.data.annotation_reader import SPECK_SHARE
from runtime.data.coco import Dataset, read_dataset
from runtime.data.defects import Action
from runtime.data.split import Split

Coco = dict[str, Any]
SIDE = 200
ROBOFLOW = "train/_annotations.coco.json"


def content() -> Coco:
    """Two images with one annotation each, without a defect."""
    return {
        "licenses": [{"id": 1, "name": "CC0"}],
        "categories": [{"id": 1, "name": "lesion"}],
        "images": [
            {"id": 10, "file_name": "a.png", "width": SIDE, "height": SIDE},
            {"id": 11, "file_name": "b.png", "width": SIDE, "height": SIDE},
        ],
        "annotations": [
            {"id": 1, "image_id": 10, "category_id": 1, "bbox": [10, 20, 30, 40]},
            {"id": 2, "image_id": 11, "category_id": 1, "bbox": [50, 60, 70, 80.5]},
        ],
    }


def write(root: Path, document: object, file: str = ROBOFLOW, images: str = "train") -> Path:
    for name in ("a.png", "b.png"):
        (root / images).mkdir(parents=True, exist_ok=True)
        Image.new("L", (SIDE, SIDE)).save(root / images / name)
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(json.dumps(document))
    return root


def train_of(root: Path) -> Split:
    return read_dataset(root).splits["train"]


# Layouts


def test_roboflows_layout_is_read(tmp_path: Path) -> None:
    dataset = read_dataset(write(tmp_path, content()))
    split = dataset.split("train")
    assert split.defects == ()
    assert split.annotation_file == tmp_path / ROBOFLOW
    assert [s.path for s in split.samples] == [tmp_path / "train" / n for n in ("a.png", "b.png")]
    assert [s.annotations[0].box for s in split.samples] == [(10, 20, 30, 40), (50, 60, 70, 80.5)]
    assert dataset.license == split.license == "CC0"
    assert dataset.name == tmp_path.name


@pytest.mark.parametrize("images", ["train2017", "images/train2017", "images", "."])
def test_the_plain_layout_is_read_wherever_its_images_lie(tmp_path: Path, images: str) -> None:
    write(tmp_path, content(), "annotations/instances_train2017.json", images)
    split = read_dataset(tmp_path).split("train")
    assert split.defects == ()
    assert [s.path.resolve() for s in split.samples] == [
        (tmp_path / images / name).resolve() for name in ("a.png", "b.png")
    ]


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("instances_train", "train"),
        ("instances_val2017", "valid"),
        ("annotations_valid", "valid"),
        ("test-dev", "test"),
        ("instances_extra", "extra"),
    ],
)
def test_a_plain_files_name_says_its_split(tmp_path: Path, stem: str, name: str) -> None:
    write(tmp_path, content(), f"annotations/{stem}.json", "images")
    assert list(read_dataset(tmp_path).splits) == [name]


def test_splits_come_as_train_valid_test_and_then_others(tmp_path: Path) -> None:
    for name in ("zebra", "test", "valid", "alpha", "train"):
        write(tmp_path / "a", content(), f"{name}/_annotations.coco.json", name)
        write(tmp_path / "b", content(), f"annotations/instances_{name}.json", "images")
    for root in (tmp_path / "a", tmp_path / "b"):
        assert list(read_dataset(root).splits) == ["train", "valid", "test", "alpha", "zebra"]


def test_samples_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    document = content()
    document["images"].reverse()
    assert [s.file_name for s in train_of(write(tmp_path, document)).samples] == ["b.png", "a.png"]


def test_a_folder_that_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not a COCO data set.* annotations/\*\.json$"):
        read_dataset(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        read_dataset(tmp_path / "absent")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="no such folder"):
        read_dataset(tmp_path / "file")


@pytest.mark.parametrize(
    ("name", "content"),
    [("images/a.PNG", b""), ("labels/a.nii.gz", b""), ("series/1", bytes(128) + b"DICM")],
)
def test_a_folder_of_scans_is_refused_with_the_command_that_imports_it(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"not a COCO .*; `seg-data import {tmp_path} OUT` makes"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("name", ["valid", "Train", "", "../train"])
def test_an_unknown_split_is_refused_with_those_that_are_there(tmp_path: Path, name: str) -> None:
    dataset = read_dataset(write(tmp_path, content()))
    with pytest.raises(DataError, match=f"no split {name!r}; the splits are train"):
        dataset.split(name)


def test_a_split_answers_to_its_other_names(tmp_path: Path) -> None:
    dataset = read_dataset(write(tmp_path, content(), "dev/_annotations.coco.json", "dev"))
    assert dataset.split("val") is dataset.split("valid")


def test_a_split_without_images_can_be_read_but_not_used(tmp_path: Path) -> None:
    dataset = read_dataset(write(tmp_path, {"images": [], "annotations": []}))
    assert dataset.splits["train"].samples == ()
    with pytest.raises(DataError, match=f"{ROBOFLOW}: no images"):
        dataset.split("train")


@pytest.mark.parametrize(
    "licenses", [None, [], [1], [{}], [{"name": ""}], [{"name": 4}], "CC0", {"name": "CC0"}]
)
def test_a_license_that_is_not_named_is_none(tmp_path: Path, licenses: object) -> None:
    assert read_dataset(write(tmp_path, {**content(), "licenses": licenses})).license is None


# Files that are no COCO file


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[" * 100_000,
        '{"images":' * 100_000,
        "[]",
        "null",
        '"images annotations"',
        '{"images": []}',
        '{"annotations": []}',
        '{"images": {}, "annotations": []}',
        '{"images": [], "annotations": null}',
        '{"images": [1], "annotations": []}',
        '{"images": [], "annotations": [[]]}',
    ],
    ids=lambda text: text[:30] or "empty",
)
def test_a_file_that_is_no_coco_file_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (write(tmp_path, {}) / ROBOFLOW).write_text(text)
    dataset = read_dataset(tmp_path)
    assert list(dataset.splits) == ["train"]
    with pytest.raises(AnnotationError, match=ROBOFLOW):
        dataset.split("train")


# Defects


def image(**values: object) -> Callable[[Coco], None]:
    return lambda document: document["images"][0].update(values)


def annotation(**values: object) -> Callable[[Coco], None]:
    return lambda document: document["annotations"][0].update(values)


def slices(*places: tuple[str, int]) -> Callable[[Coco], None]:
    """Let the first images state to be slices of volumes."""

    def edit(document: Coco) -> None:
        for entry, (volume, index) in zip(document["images"], places, strict=False):
            entry.update(volume=volume, slice=index)

    return edit


def without(key: str, field: str) -> Callable[[Coco], None]:
    return lambda document: document[key][0].pop(field)


def defects(root: Path, edit: Callable[[Coco], None]) -> tuple[Split, list[tuple[str, Action]]]:
    """Return the split, and its defects that are not the mere absence of an annotation."""
    document = content()
    edit(document)
    split = train_of(write(root, document))
    found = [(d.problem, d.action) for d in split.defects if d.problem != "no annotation"]
    return split, found


def assert_refused(root: Path, split: Split, words: str) -> None:
    refused = [d for d in split.defects if d.fatal]
    assert any(words in str(d) for d in refused), split.defects
    assert all(d.action == "refused" for d in refused)
    with pytest.raises(AnnotationError, match=ROBOFLOW):
        read_dataset(root).split("train")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (without("images", "id"), "a.png: an image without id"),
        (without("images", "file_name"), "an image without file_name"),
        (image(id=None), "a.png: expected an integer or text as id of an image, found None"),
        (image(id=1.5), "as id of an image, found 1.5"),
        (image(id=True), "as id of an image, found True"),
        (image(id=[10]), "as id of an image, found [10]"),
        (image(file_name=7), "expected text as file_name of an image, found 7"),
        (image(file_name=["a.png"]), "as file_name of an image, found ['a.png']"),
        (image(id=11), "used twice"),
        (image(file_name="b.png"), "listed twice"),
        (slices(("head", 3), ("head", 3)), "slice 3 of volume head, as a.png does"),
        (image(file_name="absent.png"), "no such image"),
        (image(file_name="."), "inside this folder"),
        (image(file_name=""), "inside this folder"),
        (image(file_name="../train/a.png/../../../x.png"), "inside this folder"),
        (image(file_name="../a.png"), "inside this folder"),
        (image(file_name="/etc/hostname"), "inside this folder"),
        (image(file_name="a.png\0"), "inside this folder"),
        (image(file_name="\ud800.png"), "inside this folder"),
        (image(file_name="x" * 300), "xxx"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_image_entry_that_cannot_be_used_stops_the_split(
    tmp_path: Path, edit: Callable[[Coco], None], words: str
) -> None:
    split, _ = defects(tmp_path, edit)
    assert_refused(tmp_path, split, words)


@pytest.mark.parametrize("field", ["width", "height"])
@pytest.mark.parametrize(
    "value",
    [0, -200, 200.5, "200", None, True, [200], float("nan"), float("inf"), 10**9, 10**400],
    ids=lambda v: str(v)[:12],
)
def test_a_stated_size_that_cannot_be_stops_the_split(
    tmp_path: Path, field: str, value: object
) -> None:
    split, _ = defects(tmp_path, image(**{field: value}))
    assert_refused(tmp_path, split, "a stated size")


def test_a_stated_size_in_text_is_called_so(tmp_path: Path) -> None:
    split, _ = defects(tmp_path, image(width="640", height=480))
    assert_refused(tmp_path, split, "a stated size of '640'x480 pixels, not two integers")


def test_an_image_through_a_link_out_of_the_folder_stops_the_split(tmp_path: Path) -> None:
    root = write(tmp_path / "data", content())
    (root / "train" / "a.png").rename(tmp_path / "secret.png")
    (root / "train" / "a.png").symlink_to(tmp_path / "secret.png")
    assert_refused(root, train_of(root), "inside this folder")


def test_a_defect_names_the_file_and_the_annotation(tmp_path: Path) -> None:
    split, _ = defects(tmp_path, annotation(bbox=[1, 2, 0, 4]))
    (defect,) = (d for d in split.defects if d.annotation is not None)
    assert (defect.split, defect.where, defect.annotation) == ("train", "a.png", "1")
    assert str(defect).startswith("a.png, annotation 1: ")


def test_an_image_without_annotation_is_used_with_an_empty_mask(tmp_path: Path) -> None:
    document = content()
    document["annotations"].pop(0)
    split = read_dataset(write(tmp_path, document)).split("train")
    assert [(d.where, d.problem, d.action) for d in split.defects] == [
        ("a.png", "no annotation", "used, with an empty mask")
    ]
    for kind in ("boxes", "segmentation"):
        assert not split.samples[0].mask((16, 16), kind).any()


@pytest.mark.parametrize(
    ("edit", "words", "action", "kept"),
    [
        (annotation(id=2), "used twice", "used", 1),
        (annotation(category_id=9), "unknown category", "used", 1),
        (annotation(category_id=None), "unknown category", "used", 1),
        (annotation(category_id=[1]), "unknown category", "used", 1),
        (annotation(category_id={"id": 1}), "unknown category", "used", 1),
        (annotation(image_id=99), "an image that is not listed", "dropped", 0),
        (annotation(image_id=None), "an image that is not listed", "dropped", 0),
        (annotation(image_id="ten"), "an image that is not listed", "dropped", 0),
        (annotation(image_id=[10]), "an image that is not listed", "dropped", 0),
        (without("annotations", "image_id"), "an image that is not listed", "dropped", 0),
        (without("annotations", "bbox"), "a box of None", "dropped", 0),
        (annotation(bbox=[10, 20, 30]), "a box of", "dropped", 0),
        (annotation(bbox=[10, 20, 30, 40, 50]), "a box of", "dropped", 0),
        (annotation(bbox={"x": 10}), "a box of", "dropped", 0),
        (annotation(bbox="10 20 30 40"), "a box of", "dropped", 0),
        (annotation(bbox=[10, 20, True, 40]), "a box of", "dropped", 0),
        (annotation(bbox=[10, 20, "30", 40]), "a box of", "dropped", 0),
        (annotation(bbox=[10, None, 30, 40]), "a box of", "dropped", 0),
        (annotation(bbox=[[10], 20, 30, 40]), "a box of", "dropped", 0),
        (annotation(bbox=[10, 20, float("nan"), 40]), "a box of", "dropped", 0),
        (annotation(bbox=[float("-inf"), 20, 30, 40]), "a box of", "dropped", 0),
        (annotation(bbox=[10, 20, 10**400, 40]), "a box of", "dropped", 0),
        (annotation(bbox=[10, 20, 0, 40]), "empty box", "dropped", 0),
        (annotation(bbox=[10, 20, 30, -40]), "empty box", "dropped", 0),
        (annotation(bbox=[SIDE, 20, 30, 40]), "outside the image", "dropped", 0),
        (annotation(bbox=[10, -41, 30, 40]), "outside the image", "dropped", 0),
        (annotation(bbox=[1e308, 20, 1e308, 40]), "outside the image", "dropped", 0),
        (annotation(bbox=[-5, 20, 30, 40]), "partly outside", "clipped", 1),
        (annotation(bbox=[10, SIDE - 20, 30, 40]), "partly outside", "clipped", 1),
        (annotation(bbox=[-1e300, -1e300, 2e300, 2e300]), "partly outside", "clipped", 1),
        (annotation(bbox=[10, 20, 1, 1]), "a speck", "used", 1),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_odd_annotation_is_reported_and_the_split_can_be_used(
    tmp_path: Path, edit: Callable[[Coco], None], words: str, action: str, kept: int
) -> None:
    split, found = defects(tmp_path, edit)
    assert found
    for text, done in found:
        assert words in text
        assert done == action
    usable = read_dataset(tmp_path).split("train")
    assert [len(s.annotations) for s in usable.samples] == [kept, 1]
    assert usable.samples == split.samples
    assert all(s.mask((SIDE, SIDE), "boxes").any() == bool(s.annotations) for s in usable.samples)


def test_a_speck_is_smaller_than_its_share_of_the_image(tmp_path: Path) -> None:
    side = SIDE * SPECK_SHARE**0.5
    assert defects(tmp_path, annotation(bbox=[10, 20, 1.01 * side, side]))[1] == []
    assert "a speck" in defects(tmp_path, annotation(bbox=[10, 20, 0.99 * side, side]))[1][0][0]


def test_categories_that_are_no_list_make_every_category_unknown(tmp_path: Path) -> None:
    split = train_of(write(tmp_path, {**content(), "categories": {"id": 1}}))
    assert ["unknown category" in d.problem for d in split.defects] == [True, True]


# Masks


def test_boxes_and_segmentations_are_both_rasterized(tmp_path: Path) -> None:
    triangle = [[10, 20, 40, 20, 40, 60]]
    edit = annotation(segmentation=triangle)
    sample = defects(tmp_path, edit)[0].samples[0]
    boxes, polygon = sample.mask((SIDE, SIDE), "boxes"), sample.mask((SIDE, SIDE), "segmentation")
    assert boxes.sum() == 30 * 40
    assert not (polygon & ~boxes & 1).any()
    area = 30 * 40 / 2
    assert abs(polygon.sum() - area) < 30 + 40 + 50  # the triangle's perimeter
    np.testing.assert_array_equal(sample.mask((SIDE, SIDE), "boxes"), boxes)


def test_a_bad_segmentation_names_the_image_and_leaves_boxes_usable(tmp_path: Path) -> None:
    sample = defects(tmp_path, annotation(segmentation=[[1, 2]]))[0].samples[0]
    assert sample.mask((8, 8), "boxes").any()
    with pytest.raises(AnnotationError, match=r"a\.png"):
        sample.mask((8, 8), "segmentation")


def test_a_folder_name_that_is_too_long_is_a_data_error() -> None:
    with pytest.raises(DataError, match="no such folder"):
        read_dataset("x" * 300)


@pytest.mark.parametrize(("share", "found"), [(0.9e-4, True), (1.1e-4, False)])
def test_a_speck_is_less_than_a_ten_thousandth_of_its_image(
    tmp_path: Path, share: float, found: bool
) -> None:
    side = SIDE * share**0.5
    assert bool(defects(tmp_path, annotation(bbox=[10, 20, side, side]))[1]) is found


def test_the_folder_of_the_split_is_searched_before_the_folder_of_all(tmp_path: Path) -> None:
    write(tmp_path, content(), "annotations/instances_train.json", "images/train")
    write(tmp_path, content(), "annotations/instances_train.json", "images")
    assert train_of(tmp_path).samples[0].path.parent == tmp_path / "images" / "train"
    write(tmp_path, content(), "annotations/instances_train.json", "train")
    assert train_of(tmp_path).samples[0].path.parent == tmp_path / "train"


def test_missing_images_are_allowed_and_other_fatal_defects_are_not(tmp_path: Path) -> None:
    document = content()
    document["images"].append({"id": 12, "file_name": "gone.png", "width": 8, "height": 8})
    data = read_dataset(write(tmp_path, document))
    with pytest.raises(AnnotationError, match="no such image"):
        data.split("train")
    assert len(data.split("train", allow_missing=True).samples) == 3
    document["images"].append({"id": 13, "file_name": "../a.png", "width": 8, "height": 8})
    data = read_dataset(write(tmp_path, document))
    with pytest.raises(AnnotationError, match="inside this folder"):
        data.split("train", allow_missing=True)


def test_a_data_set_is_shown_in_one_short_line(phantom_data: Dataset) -> None:
    for shown in (repr(phantom_data), repr(phantom_data.split("train"))):
        assert len(shown.splitlines()) == 1
        assert len(shown) < 300
    assert "splits train, valid, test" in repr(phantom_data)
    assert "'train', 16 images" in repr(phantom_data.split("train"))
