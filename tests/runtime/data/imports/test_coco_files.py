"""The content of COCO files that are made of masks."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from runtime.core.json_files import write_json
from runtime.data.imports.coco_files import ImportedImage, coco_content, region_of
from runtime.data.imports.labels import Category


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # of pycocotools
def test_the_annotations_match_themselves_in_pycocotools(tmp_path: Path) -> None:
    """It takes the id 0 for "no match", so that annotation would count as missed."""
    rng = np.random.default_rng(0)
    tumor = Category(1, "tumor", ((1, 1),))
    masks = rng.random((3, 40, 50)) < 0.3
    images = [
        ImportedImage(f"{i}.png", tmp_path, 50, 40, None, None, (region_of(tumor, mask),))
        for i, mask in enumerate(masks)
    ]
    content = coco_content(images, [tumor])
    write_json(tmp_path / "coco.json", content)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(tmp_path / "coco.json"))
        found = truth.loadRes([{**a, "score": 1.0} for a in content["annotations"]])
        evaluation = COCOeval(truth, found, "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert evaluation.stats[0] == 1.0  # mean average precision
    written = json.loads((tmp_path / "coco.json").read_text())["annotations"]
    for annotation, mask in zip(written, masks, strict=True):
        decoded = coco_mask.decode(annotation["segmentation"])
        np.testing.assert_array_equal(decoded, mask)
        assert annotation["area"] == mask.sum()
