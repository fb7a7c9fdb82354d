"""New splits of a data set in which no group of similar images lies in two splits."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.core.errors import AnnotationError, DataError
from runtime.core.files import replacing_folder
from runtime.core.json_files import read_json, write_json
from runtime.data.audit import Audit
from runtime.data.coco import IMAGE_ROOT, ROBOFLOW_FILE, Dataset
from runtime.data.samples import sound_categories

STRATA = 5
"""Number of classes of tumor size that are balanced, each with equally many images."""


@dataclass(frozen=True, slots=True)
class GroupedSplit:
    """A new assignment of an audit's images to splits.

    Attributes:
        assigned: the new split of each image, in the order of the audit's images.
    """

    audit: Audit
    seed: int
    assigned: tuple[str, ...]

    def sizes(self) -> dict[str, int]:
        """Return the number of images in each split."""
        splits = dict.fromkeys(image.split for image in self.audit.images)
        return {name: self.assigned.count(name) for name in splits}


def split_by_group(dataset: Dataset, audit: Audit, *, seed: int = 0) -> GroupedSplit:
    """Assign whole groups of images to the splits that the data set has now.

    Groups are assigned from the largest to the smallest; `seed` shuffles groups of equal size. Each
    group goes to the split that lacks its images most. That need is counted per class of tumor
    size, relative to the present split. So the splits keep their sizes and their distributions of
    tumor sizes, as far as whole groups allow.

    Args:
        audit: the result of `audit_dataset` for this data set.

    Raises:
        DataError: there is only one split, there are fewer groups than splits, or a group is too
            large to leave images for every split.
    """
    names = list(dataset.splits)
    if len(names) < 2 or audit.groups < len(names):
        raise DataError(
            f"{dataset.root}: expected at least 2 splits, and as many groups of images, found "
            f"{len(names)} and {audit.groups}"
        )
    strata = _strata(audit)
    owners = np.array([names.index(image.split) for image in audit.images])
    groups = np.array([image.group for image in audit.images])
    content = _counts(groups, strata, audit.groups)
    # A class that a split lacks counts as one image, or the division below would be by zero.
    wanted = np.maximum(_counts(owners, strata, len(names)), 1).astype(np.float64)
    missing = wanted.copy()
    shuffled = np.random.default_rng(seed).permutation(audit.groups)
    largest_first = shuffled[np.argsort(-content.sum(axis=1)[shuffled], kind="stable")]
    chosen = np.empty(audit.groups, np.intp)
    for group in largest_first:
        chosen[group] = int(np.argmax((missing / wanted) @ content[group]))
        missing[chosen[group]] -= content[group]
    assigned = tuple(names[chosen[image.group]] for image in audit.images)
    if len(set(assigned)) < len(names):
        raise DataError(
            f"{dataset.root}: {len(names)} splits cannot be filled, because one group has "
            f"{int(content.sum(axis=1).max())} of {len(audit.images)} images"
        )
    return GroupedSplit(audit, seed, assigned)


def _strata(audit: Audit) -> NDArray[np.intp]:
    """Return each image's class of annotated area: 0 to STRATA - 1."""
    shares = np.array(
        [
            sum(a.box[2] * a.box[3] for a in image.sample.annotations)
            / (image.sample.width * image.sample.height)
            for image in audit.images
        ]
    )
    edges = np.quantile(shares, np.linspace(0, 1, STRATA + 1)[1:-1])
    return np.searchsorted(edges, shares, side="right")


def _counts(rows: NDArray[np.intp], strata: NDArray[np.intp], number: int) -> NDArray[np.intp]:
    joint = np.bincount(rows * STRATA + strata, minlength=number * STRATA)
    return joint.reshape(number, STRATA)


def write_split(dataset: Dataset, split: GroupedSplit, folder: str | Path) -> None:
    """Write new splits as COCO files, SPLIT/_annotations.coco.json; images stay where they are.

    `file_name` is relative to the data set's folder, which `info.image_root` names relative to the
    COCO file. Ids are renumbered, and the field `group` of an image is the number of its group. An
    image that two COCO files of the data set list is written once.

    Raises:
        AnnotationError: a COCO file of the data set cannot be read, or two disagree on a category.
        OutputError: `folder` is not empty, or cannot be written.
    """
    target = Path(folder)
    contents = {
        name: read_json(entry.annotation_file, error=AnnotationError)
        for name, entry in dataset.splits.items()
    }
    categories = _categories(dataset, contents)
    placed: dict[str, list[tuple[str, str, str, int]]] = {name: [] for name in dataset.splits}
    listed: set[Path] = set()
    for image, name in zip(split.audit.images, split.assigned, strict=True):
        if image.sample.path not in listed:
            listed.add(image.sample.path)
            place = image.sample.path.relative_to(dataset.image_root).as_posix()
            placed[name].append((image.split, image.sample.file_name, place, image.group))
    entries = {name: _entries(content) for name, content in contents.items()}
    first = next(iter(contents.values()))
    with replacing_folder(target) as beside:
        for name, images in placed.items():
            root = os.path.relpath(dataset.image_root.resolve(), target.resolve() / name)
            content = {
                "info": {
                    "description": f"{dataset.name}, split by groups of similar images, "
                    f"seed {split.seed}",
                    IMAGE_ROOT: Path(root).as_posix(),
                },
                "licenses": first.get("licenses", []),
                "categories": categories,
                **_numbered(images, entries),
            }
            write_json(beside / name / ROBOFLOW_FILE, content)


Entry = dict[str, Any]


def _entries(content: Any) -> dict[str, tuple[Entry, list[Entry]]]:
    """Return each image's entry and annotations by its file name."""
    annotations: dict[object, list[Entry]] = {}
    for annotation in content["annotations"]:
        if type(annotation.get("image_id")) in (int, str):
            annotations.setdefault(annotation["image_id"], []).append(annotation)
    return {
        image["file_name"]: (image, annotations.get(image["id"], [])) for image in content["images"]
    }


def _numbered(
    images: list[tuple[str, str, str, int]],
    entries: Mapping[str, Mapping[str, tuple[Entry, list[Entry]]]],
) -> dict[str, list[Entry]]:
    written: dict[str, list[Entry]] = {"images": [], "annotations": []}
    for number, (split, file_name, place, group) in enumerate(images):
        image, annotations = entries[split][file_name]
        written["images"].append({**image, "id": number, "file_name": place, "group": group})
        for annotation in annotations:
            identity = len(written["annotations"])
            written["annotations"].append({**annotation, "id": identity, "image_id": number})
    return written


def _categories(dataset: Dataset, contents: Mapping[str, Any]) -> list[Entry]:
    known: dict[object, Entry] = {}
    for name, content in contents.items():
        for category in sound_categories(content):
            earlier = known.setdefault(category["id"], category)
            if earlier.get("name") != category.get("name"):
                raise AnnotationError(
                    f"{dataset.splits[name].annotation_file}: category {category['id']} is "
                    f"{category.get('name')!r} here, but {earlier.get('name')!r} in another split"
                )
    return list(known.values())
