"""Boxes against the size of their image."""

from pathlib import Path

import pytest

from tests.runtime.data.test_coco import SIDE, Coco, annotation, defects


def test_a_box_past_the_edge_by_half_a_pixel_is_no_defect(tmp_path: Path) -> None:
    assert defects(tmp_path, annotation(bbox=[-0.5, 20, 30, SIDE - 19.5]))[1] == []
    assert defects(tmp_path, annotation(bbox=[-0.6, 20, 30, 40]))[1] != []


@pytest.mark.parametrize(
    ("box", "problems"),
    [
        ([60, 10, 30, 30], []),
        ([90, 30, 10, 20], []),
        ([90, 30, 12, 20], ["a box partly outside the image"]),
        ([90, 30, 10, 22], ["a box partly outside the image"]),
        ([10, 60, 20, 20], ["a box outside the image"]),
        ([100, 10, 20, 20], ["a box outside the image"]),
    ],
)
def test_a_box_is_measured_against_the_width_and_the_height(
    tmp_path: Path, box: list[float], problems: list[str]
) -> None:
    def change(document: Coco) -> None:
        document["images"][0] |= {"width": 100, "height": 50}
        document["annotations"][0]["bbox"] = box

    assert [problem for problem, _ in defects(tmp_path, change)[1]] == problems
