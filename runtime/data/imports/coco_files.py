"""The COCO files of an imported data set."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.data.imports.labels import Category
from runtime.data.samples import VolumeSlice
from runtime.data.segmentations import Box


@dataclass(frozen=True, slots=True)
class Region:
    """The pixels of one category in an image.

    Attributes:
        runs: COCO's compressed run-length encoding, as text.
        area: in pixels.
    """

    category: Category
    runs: str
    box: Box
    area: int


@dataclass(frozen=True, slots=True)
class ImportedImage:
    """An image to list in a COCO file.

    Attributes:
        file_name: relative to the folder of the images.
        path: of the file.
        split: of the source; None where it has none.
        spacing: distance of rows and of columns in mm; None where unknown.
        slice: its place in a volume; None for a picture.
    """

    file_name: str
    path: Path
    width: int
    height: int
    patient: str | None
    split: str | None
    regions: tuple[Region, ...]
    spacing: tuple[float, float] | None = None
    slice: VolumeSlice | None = None


def region_of(category: Category, mask: NDArray[np.bool_]) -> Region:
    """Return a mask, bool [height, width] with at least one true, as a region.

    Example:
        >>> mask = np.array([[False, True], [False, True]])
        >>> region = region_of(Category(1, "tumor", ((1, 1),)), mask)
        >>> region.box, region.area
        ((1.0, 0.0, 1.0, 2.0), 2)
    """
    from pycocotools import mask as coco_mask

    runs = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    x, y, width, height = (float(side) for side in coco_mask.toBbox(runs))
    return Region(category, runs["counts"].decode("ascii"), (x, y, width, height), int(mask.sum()))


def coco_content(
    images: Sequence[ImportedImage],
    categories: Sequence[Category],
    *,
    groups: Sequence[int] = (),
    info: Mapping[str, Any] | None = None,
    license_name: str | None = None,
) -> dict[str, Any]:
    """Return the content of a COCO file of images.

    Args:
        groups: the group of each image; empty where there are none.
    """
    listed: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, image in enumerate(images):
        entry: dict[str, Any] = {
            "id": number,
            "file_name": image.file_name,
            "width": image.width,
            "height": image.height,
        }
        group = {"group": groups[number]} if groups else {}
        stated: dict[str, Any] = {"patient_id": image.patient, "spacing": image.spacing}
        if image.slice is not None:
            stated |= {"volume": image.slice.volume, "slice_spacing": image.slice.spacing}
            entry["slice"] = image.slice.index
        listed.append(entry | group | {key: value for key, value in stated.items() if value})
        annotations += [
            {
                # pycocotools takes the id 0 for "no match".
                "id": 1 + len(annotations) + index,
                "image_id": number,
                "category_id": region.category.id,
                "bbox": list(region.box),
                "area": region.area,
                "segmentation": {"size": [image.height, image.width], "counts": region.runs},
                "iscrowd": 0,
            }
            for index, region in enumerate(image.regions)
        ]
    return {
        "info": dict(info or {}),
        "licenses": [] if license_name is None else [{"id": 1, "name": license_name}],
        "categories": [{"id": each.id, "name": each.name} for each in categories],
        "images": listed,
        "annotations": annotations,
    }


def relative_folder(folder: Path, base: Path) -> str:
    """Return a folder relative to another one, with links resolved."""
    return Path(os.path.relpath(folder.resolve(), base.resolve())).as_posix()
