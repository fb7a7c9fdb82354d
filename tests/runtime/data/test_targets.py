"""Which masks and categories a data set is scored on."""

from pathlib import Path
from typing import Any

import pytest

from runtime.core.errors import DataError
from runtime.data.coco import read_dataset
from runtime.data.targets import choose_targets
from tests.runtime.data.test_foreign_coco import (
    RECTANGLE,
    SIDE,
    TRIANGLE,
    document,
    notes,
    train,
    write,
)


@pytest.mark.parametrize(
    ("segmentations", "masks", "reason"),
    [
        ([TRIANGLE, RECTANGLE], "segmentation", "every annotation has a segmentation"),
        ([RECTANGLE, RECTANGLE], "boxes", "all polygons are boxes"),
        ([TRIANGLE, None], "boxes", "1 of 2 annotations has no usable segmentation"),
        ([TRIANGLE, [[1, 2]]], "boxes", "1 of 2 annotations has no usable segmentation"),
        ([[], None], "boxes", "no annotation has a segmentation"),
        (
            [{"size": [SIDE, SIDE], "counts": "YmFzZTY0"}],
            "boxes",
            "no annotation has a usable segmentation",
        ),
        ([[["1", "2", "3", "2", "3", "4"]]], "boxes", "no annotation has a usable segmentation"),
    ],
)
def test_masks_are_chosen_by_the_annotations(
    tmp_path: Path, segmentations: list[object], masks: str, reason: str
) -> None:
    content = document()
    content["annotations"] = [
        {**content["annotations"][0], "id": number, "segmentation": segmentation}
        for number, segmentation in enumerate(segmentations)
    ]
    split = train(write(tmp_path, content))
    targets = choose_targets("auto", [split])
    assert (targets.masks, targets.reason) == (masks, reason)
    assert choose_targets("boxes", [split]).masks == "boxes"
    assert choose_targets("auto", [split], trained_on="segmentation").masks == "segmentation"


def test_a_hole_that_is_filled_is_told(tmp_path: Path) -> None:
    hole = [20, 30, 30, 30, 30, 50, 20, 50]
    split = train(write(tmp_path, document(segmentation=[*RECTANGLE, hole])))
    assert split.samples[0].mask((SIDE, SIDE), "segmentation").sum() == 30 * 40
    assert notes(split)[1].startswith("train: a polygon inside another, which is filled, since")
    beside = [50, 0, 60, 0, 60, 10]
    apart = document(bbox=[10, 0, 50, 60], segmentation=[*RECTANGLE, beside])
    assert train(write(tmp_path, apart)).defects == ()


@pytest.mark.parametrize("name", ["background", "_background_", "BG"])
def test_a_background_that_is_foreground_is_told(tmp_path: Path, name: str) -> None:
    content = two_categories()
    content["categories"][1]["name"] = name
    told = f"The category {name} is foreground like the others; choose those without it by"
    root = write(tmp_path, content)
    assert any(note.startswith(told) for note in notes(train(root)))
    chosen = read_dataset(root, categories=("lesion",)).split("train")
    assert not any(note.startswith(told) for note in notes(chosen))


def two_categories() -> dict[str, Any]:
    content = document()
    second = {**content["annotations"][0], "id": 2, "category_id": 2, "bbox": [0, 0, 8, 8]}
    third = {**second, "id": 3}
    return {**content, "annotations": [*content["annotations"], second, third]}


def test_merged_categories_are_named_with_counts(tmp_path: Path) -> None:
    split = train(write(tmp_path, two_categories()))
    assert split.annotations == {"cyst": 2, "lesion": 1}
    assert notes(split)[1].startswith(
        "2 categories are merged into one foreground: cyst (2), lesion (1)."
    )


def test_a_chosen_category_alone_is_foreground(tmp_path: Path) -> None:
    root = write(tmp_path, two_categories())
    split = read_dataset(root, categories=("lesion",)).split("train")
    assert split.annotations == {"lesion": 1}
    assert split.samples[0].mask((SIDE, SIDE), "boxes").sum() == 30 * 40
    assert notes(split)[1] == "Only the chosen categories are foreground: lesion (1)."
    with pytest.raises(DataError, match="no category 'tumor'; the categories are lesion, cyst"):
        read_dataset(root, categories=("tumor",)).split("train")
