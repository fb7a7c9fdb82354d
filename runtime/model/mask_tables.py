"""The masks of predictions as tables that others read: CSV, and COCO with run-length encodings."""

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from runtime.core.files import replacing
from runtime.core.json_files import write_json
from runtime.data.imports.coco_files import ImportedImage, coco_content, region_of
from runtime.data.imports.labels import Category
from runtime.model.predict_files import FilePrediction

_CATEGORY = Category(1, "foreground", ((1, 1),))


def write_mask_table(path: Path, predictions: Iterable[FilePrediction]) -> None:
    """Write a row for each image: highest probability, area and its share. Raises OutputError.

    The area is in pixels, or in voxels. Their volume is a column if it is known of any image.

    Args:
        predictions: can be read several times.
    """
    with (
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        volumes = (
            ("milliliters",) if any(each.milliliters is not None for each in predictions) else ()
        )
        writer.writerow(("image", "highest", "area", "share", *volumes, "mask"))
        for each in predictions:
            volume = "" if each.milliliters is None else f"{each.milliliters:.6g}"
            numbers = (f"{each.highest:.6f}", each.area, f"{each.foreground_share:.6f}")
            writer.writerow((each.image, *numbers, *(volume for _ in volumes), each.mask or ""))


def write_mask_coco(path: Path, predictions: Iterable[FilePrediction]) -> None:
    """Write the masks of pictures as a COCO file with run-length encodings. Raises OutputError."""
    images = []
    for each in predictions:
        if each.mask is None or each.mask.suffix != ".png":  # of a volume
            continue
        with Image.open(each.mask) as opened:
            inside = np.asarray(opened) > 0
        regions = (region_of(_CATEGORY, inside),) if inside.any() else ()
        height, width = inside.shape
        images.append(
            ImportedImage(str(each.image), each.image, width, height, None, None, regions)
        )
    write_json(path, coco_content(images, [_CATEGORY]))
