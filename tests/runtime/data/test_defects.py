from pathlib import Path

import pytest

from runtime.core.errors import AnnotationError
from runtime.data.defects import Action, DefectList
from tests.runtime.data.test_coco import annotation, defects, image


def test_an_odd_defect_is_short_enough_to_print(tmp_path: Path) -> None:
    for edit in (
        annotation(bbox=[0] * 100_000),
        annotation(image_id="x" * 100_000),
        annotation(category_id="x" * 100_000),
        image(width="9" * 100_000),
        image(id="x" * 100_000, width=0),
    ):
        split, found = defects(tmp_path, edit)
        assert found
        assert max(len(str(d)) for d in split.defects) < 1000


def test_a_file_of_more_than_100000_defects_is_refused(tmp_path: Path) -> None:
    found = DefectList("train", tmp_path / "train.json")
    for _ in range(100_000):
        found.note("a.png", "a defect", Action.USED)
    with pytest.raises(AnnotationError, match="more than 100000 defects in one COCO file"):
        found.note("a.png", "a defect", Action.USED)
