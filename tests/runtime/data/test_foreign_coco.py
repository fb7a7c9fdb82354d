"""COCO files of other programs: names of splits and files, ids, sizes, boxes, categories."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runtime.core.errors import AnnotationError
from runtime.core.settings import MaskKind
from runtime.data.coco import read_dataset
from runtime.data.split import Split
from runtime.data.targets import choose_targets, target_notes

SIDE = 64
TRIANGLE = [[10, 20, 40, 20, 40, 60]]


def document(name: str = "a.png", **annotation: Any) -> dict[str, Any]:
    """Return a COCO file of one image and one annotation, which is changed; None removes a key."""
    entry = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 20, 30, 40], **annotation}
    return {
        "categories": [{"id": 1, "name": "lesion"}, {"id": 2, "name": "cyst"}],
        "images": [{"id": 1, "file_name": name, "width": SIDE, "height": SIDE}],
        "annotations": [{key: value for key, value in entry.items() if value is not None}],
    }


def write(
    root: Path, content: object, file: str = "train/_annotations.coco.json", image: str = "a.png"
) -> Path:
    """Write a COCO file and an image in the same folder, or in images/; return the root."""
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    target = (root / "images" if path.parent.name == "annotations" else path.parent) / image
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (SIDE, SIDE)).save(target)
    return root


def train(root: Path) -> Split:
    return read_dataset(root).split("train")


# Splits


@pytest.mark.parametrize("name", ["val", "Valid", "VALIDATION", "dev"])
@pytest.mark.parametrize("layout", ["folders", "files"])
def test_the_validation_split_has_many_names(tmp_path: Path, name: str, layout: str) -> None:
    file = f"{name}/_annotations.coco.json"
    write(
        tmp_path, document(), file if layout == "folders" else f"annotations/instances_{name}.json"
    )
    dataset = read_dataset(tmp_path)
    assert list(dataset.splits) == ["valid"]
    assert dataset.split("valid").name == "valid"


def test_cvats_capital_letters_are_read(tmp_path: Path) -> None:
    for name in ("Train", "Validation", "Test"):
        write(tmp_path, document(), f"annotations/instances_{name}.json")
    assert list(read_dataset(tmp_path).splits) == ["train", "valid", "test"]


def test_the_exact_name_wins_and_the_other_file_is_reported(tmp_path: Path) -> None:
    write(tmp_path, document(), "annotations/instances_train.json")
    write(tmp_path, {"images": [], "annotations": []}, "annotations/train_backup.json")
    split = train(tmp_path)
    assert split.annotation_file.name == "instances_train.json"
    (note,) = target_notes([split], choose_targets("boxes", []))[1:]
    assert "another file for the same split: not read" in note


@pytest.mark.parametrize("stems", [("train2014", "train2017"), ("val2017", "valminusminival2017")])
def test_two_files_of_one_split_are_both_named(tmp_path: Path, stems: tuple[str, str]) -> None:
    for stem in stems:
        write(tmp_path, document(), f"annotations/instances_{stem}.json")
    dataset = read_dataset(tmp_path)
    (name,) = dataset.splits
    with pytest.raises(
        AnnotationError, match=f"instances_{stems[0]}.json and instances_{stems[1]}"
    ):
        dataset.split(name)


@pytest.mark.parametrize("kind", ["captions", "person_keypoints", "image_info"])
def test_files_without_masks_are_passed_over(tmp_path: Path, kind: str) -> None:
    write(tmp_path, document(), "annotations/instances_train2017.json")
    write(tmp_path, {"annotations": []}, f"annotations/{kind}_train2017.json")
    write(tmp_path, {"images": []}, f"annotations/{kind}_test2017.json")
    assert list(read_dataset(tmp_path).splits) == ["train"]
    assert train(tmp_path).defects == ()


def test_only_the_split_that_is_asked_for_is_read(tmp_path: Path) -> None:
    write(tmp_path, document())
    write(tmp_path, "no COCO file", "test/_annotations.coco.json")
    dataset = read_dataset(tmp_path)
    assert dataset.split("train").samples
    assert list(dataset.files) == [
        tmp_path / "train" / f for f in ("_annotations.coco.json", "a.png")
    ]
    with pytest.raises(AnnotationError, match="not a COCO file"):
        dataset.split("test")


# File names


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("images\\a.png", "images/a.png"),
        (unicodedata.normalize("NFC", "Läsion.png"), unicodedata.normalize("NFD", "Läsion.png")),
        (unicodedata.normalize("NFD", "Läsion.png"), unicodedata.normalize("NFC", "Läsion.png")),
        ("my%20scan.png", "my scan.png"),
        ("a.png", "a.PNG"),
    ],
)
def test_a_name_of_another_spelling_is_found_and_reported(
    tmp_path: Path, name: str, file: str
) -> None:
    split = train(write(tmp_path, document(name), image=file))
    (sample,) = split.samples
    assert sample.path == tmp_path / "train" / file
    assert sample.file_name == name
    (defect,) = split.defects
    assert (defect.fatal, defect.missing) == (False, False)
    assert "another spelling" in target_notes([split], choose_targets("boxes", []))[1]


def test_the_exact_name_is_preferred_and_two_alike_are_not_guessed(tmp_path: Path) -> None:
    write(tmp_path, document(), image="a.PNG")
    write(tmp_path, document())
    assert train(tmp_path).samples[0].path.name == "a.png"
    write(tmp_path, document(), image="a.pnG")
    (tmp_path / "train" / "a.png").unlink()
    with pytest.raises(AnnotationError, match="no such image"):
        train(tmp_path)


def test_another_spelling_never_leaves_the_folder(tmp_path: Path) -> None:
    write(tmp_path, document("..\\a.png"), image="b.png")
    Image.new("L", (SIDE, SIDE)).save(tmp_path / "a.png")
    with pytest.raises(AnnotationError, match="no such image"):
        train(tmp_path)


# Ids, sizes and boxes


@pytest.mark.parametrize("identity", [1, 1.0, "1"])
@pytest.mark.parametrize("owner", [1, 1.0, "1"])
@pytest.mark.parametrize("category", [1, 1.0, "1"])
def test_ids_are_compared_as_numbers_or_text(
    tmp_path: Path, identity: object, owner: object, category: object
) -> None:
    content = document(image_id=owner, category_id=category)
    content["images"][0] |= {"id": identity, "width": 64.0, "height": 64.0}
    split = train(write(tmp_path, content))
    assert split.defects == ()
    (sample,) = split.samples
    assert (sample.width, type(sample.width)) == (SIDE, int)
    assert [a.category for a in sample.annotations] == ["lesion"]


@pytest.mark.parametrize(
    "bbox", [None, [], [0, 0, 0, 0], "10 20 30 40", [1, 2, 3, 4, 5], [99, 0, 5, 5]]
)
def test_a_missing_box_is_that_of_the_segmentation(tmp_path: Path, bbox: object) -> None:
    split = train(write(tmp_path, document(bbox=bbox, segmentation=TRIANGLE)))
    (annotation,) = split.samples[0].annotations
    assert annotation.box == (10.0, 20.0, 30.0, 40.0)
    assert split.samples[0].mask((SIDE, SIDE), "segmentation").sum() > 500
    assert any("with the box of its segmentation" in note for note in notes(split))


def test_the_box_of_runs_is_that_of_their_mask(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        mask = np.zeros((SIDE, SIDE), np.uint8)
        x, y, w, h = rng.integers(1, 30, 4)
        mask[y : y + h, x : x + w] = 1
        flat = np.concatenate([[0], mask.ravel(order="F"), [2]])
        changes = np.flatnonzero(np.diff(flat))
        counts = np.diff([0, *changes]).tolist()
        runs = {"size": [SIDE, SIDE], "counts": counts}
        split = train(write(tmp_path, document(bbox=None, segmentation=runs)))
        assert split.samples[0].annotations[0].box == (x, y, w, h)


def test_boxes_that_are_shares_of_the_image_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="shares of the image, from 0 to 1"):
        train(write(tmp_path, document(bbox=[0.2, 0.3, 0.5, 0.25])))
    assert train(write(tmp_path, document(bbox=[0, 0, 1, 1]))).samples


def test_polygons_that_are_shares_of_the_image_are_refused_without_boxes(tmp_path: Path) -> None:
    shares = [[0.1, 0.2, 0.6, 0.2, 0.6, 0.9]]
    with pytest.raises(AnnotationError, match="or polygons are shares of the image, from 0 to 1"):
        train(write(tmp_path, document(bbox=None, segmentation=shares)))


def test_a_split_that_loses_all_masks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="its only annotation is dropped, so no mask is left"):
        train(write(tmp_path, document(bbox=None)))


@pytest.mark.parametrize(
    ("fields", "name", "patient"),
    [
        ({"patient_id": 7}, "a.png", "7"),
        ({"patient_id": 7}, "patient3_1.png", "7"),
        ({}, "patient3_1.png", "patient3"),
        ({}, "genius_0102.png", None),
    ],
)
def test_a_patient_is_stated_by_the_entry_or_else_the_name(
    tmp_path: Path, fields: dict[str, Any], name: str, patient: str | None
) -> None:
    content = document(name)
    content["images"][0] |= fields
    assert train(write(tmp_path, content, image=name)).samples[0].patient == patient


# Masks and categories


def notes(split: Split) -> tuple[str, ...]:
    return target_notes([split], choose_targets("auto", [split]))


RECTANGLE = [[10, 20, 40, 20, 40, 60, 10, 60]]


def test_a_box_measured_from_the_bottom_is_refused_with_its_cause(tmp_path: Path) -> None:
    content = document(bbox=[10, 54, 30, 10], segmentation=[[10, 0, 40, 0, 40, 10]])
    with pytest.raises(AnnotationError, match=r"1 of 1 annotations .* seem to measure y from"):
        train(write(tmp_path, content))


def test_boxes_beside_their_segmentations_are_reported(tmp_path: Path) -> None:
    split = train(write(tmp_path, document(bbox=[45, 3, 9, 8], segmentation=TRIANGLE)))
    assert notes(split)[1] == (
        "train: the boxes of 1 of 1 annotations do not lie on their segmentations: used as stated; "
        "the first: a.png."
    )


@pytest.mark.parametrize("kind", ["boxes", "segmentation"])
def test_a_group_of_objects_is_foreground_and_what_is_ignored_is_not(
    tmp_path: Path, kind: MaskKind
) -> None:
    content = document(segmentation=RECTANGLE, iscrowd=1)
    crowd = content["annotations"][0]
    corner = {"bbox": [0, 0, 8, 8], "segmentation": [[0, 0, 8, 0, 8, 8, 0, 8]]}
    ignored = [{**crowd, **corner, "id": number, "ignore": 1} for number in (2, 3)]
    split = train(write(tmp_path, {**content, "annotations": [crowd, *ignored]}))
    assert split.samples[0].mask((SIDE, SIDE), kind).sum() == 30 * 40
    ends = [note.partition("; the first")[0] for note in notes(split)[1:]]
    assert ends == [
        "train: groups of objects (iscrowd: 1), 1 of 3 annotations: used as foreground",
        "train: marked to be ignored (ignore: 1), 2 of 3 annotations: dropped",
    ]


def test_a_split_whose_annotations_are_all_ignored_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="so no mask is left"):
        train(write(tmp_path, document(ignore=1)))
    assert train(write(tmp_path, document(ignore=0, iscrowd=0))).defects == ()


def test_a_polygon_without_the_outer_list_is_read(tmp_path: Path) -> None:
    split = train(write(tmp_path, document(segmentation=TRIANGLE[0])))
    nested = train(write(tmp_path, document(segmentation=TRIANGLE)))
    assert choose_targets("auto", [split]).masks == "segmentation"
    mask, expected = (s.samples[0].mask((SIDE, SIDE), "segmentation") for s in (split, nested))
    np.testing.assert_array_equal(mask, expected)
    assert split.defects == ()


@pytest.mark.parametrize("fragment", [[], [7, 7], [7, 7, 9, 9]])
def test_a_fragment_of_a_polygon_is_dropped_and_reported(
    tmp_path: Path, fragment: list[float]
) -> None:
    split = train(write(tmp_path, document(segmentation=[*TRIANGLE, fragment])))
    targets = choose_targets("auto", [split])
    assert targets.masks == "segmentation"
    assert split.samples[0].mask((SIDE, SIDE), "segmentation").sum() > 500
    assert target_notes([split], targets)[1] == (
        "train: a polygon of fewer than three points beside others: dropped; the first: a.png, "
        "annotation 1."
    )
