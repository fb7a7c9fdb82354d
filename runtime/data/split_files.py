"""Writing a new split as COCO files, reading it back, and giving its images a new place."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from runtime.core.errors import AnnotationError, DataError
from runtime.core.files import replacing_folder
from runtime.core.json_files import read_json, write_json
from runtime.core.schema import to_dict
from runtime.data.coco import Dataset, read_dataset
from runtime.data.coco_file import EMPTY_MASKS, IMAGE_ROOT, MASK_PATTERN, VOLUMES, image_folders
from runtime.data.grouped_split import GroupedSplit
from runtime.data.layouts import ROBOFLOW_FILE
from runtime.data.samples import identity_of, sound_categories

Entry = dict[str, Any]


def write_split(dataset: Dataset, split: GroupedSplit, folder: str | Path) -> Dataset:
    """Write new splits as COCO files, SPLIT/_annotations.coco.json; images stay where they are.

    `file_name` is relative to the data set's folder, which `info.image_root` names relative to the
    COCO file. Ids are renumbered, and the field `group` of an image is the number of its group. An
    image that two COCO files of the data set list is written once.

    Returns:
        The data set that was written, as it is read back, with the white level of the audit's
        images.

    Raises:
        AnnotationError: a COCO file of the data set cannot be read, or two disagree on a category.
        DataError: the new split cannot be read back; nothing remains of it then.
        OutputError: `folder` is not empty, or cannot be written.
    """
    target = Path(folder)
    contents = {
        name: read_json(entry.annotation_file, error=AnnotationError)
        for name, entry in dataset.splits.items()
    }
    categories = _categories(dataset, contents)
    placed: dict[str, list[tuple[str, str, str, int]]] = {name: [] for name in split.wanted}
    listed: set[Path] = set()
    for image, name in zip(split.audit.images, split.assigned, strict=True):
        if image.sample.path not in listed:
            listed.add(image.sample.path)
            place = _place(image.sample.path, dataset.image_root)
            placed[name].append((image.split, image.sample.file_name, place, image.group))
    entries = {name: _entries(content) for name, content in contents.items()}
    first = next(iter(contents.values()))
    description = f"{dataset.name}, split by groups of similar images, seed {split.seed}"
    intensity = split.audit.images[0].sample.intensity
    with replacing_folder(target) as temporary:
        for name, images in placed.items():
            content = {
                "info": {
                    **_origin(dataset),
                    "description": description,
                    IMAGE_ROOT: _relative(dataset.image_root, target / name),
                },
                "licenses": first.get("licenses", []),
                "categories": categories,
                **_numbered(images, entries),
            }
            write_json(temporary / name / ROBOFLOW_FILE, content)
        _ensure_readable(temporary, target, listed)
    return read_dataset(target, intensity=intensity)


def locate_images(folder: str | Path, images: str | Path) -> Dataset:
    """Give a split that `write_split` made the present folder of its images, and read it.

    Args:
        folder: of the split.
        images: folder of the data set that it was made from.

    Raises:
        DataError: `folder` is no such split, or an image is not in `images`; nothing is changed.
        OutputError: a COCO file cannot be written.
    """
    target, root = Path(folder), Path(images)
    contents = {
        path: read_json(path, error=AnnotationError)
        for path in sorted(target.glob(f"*/{ROBOFLOW_FILE}"))
    }
    if not contents:
        raise DataError(f"{target}: no COCO files SPLIT/{ROBOFLOW_FILE}")
    for path, content in contents.items():
        info = content.get("info") if isinstance(content, dict) else None
        if not isinstance(info, dict) or IMAGE_ROOT not in info:
            raise DataError(
                f"{path}: its images lie beside it; only `seg-data split` and `seg-data import` "
                "refer to images elsewhere"
            )
        for name in _file_names(content):
            if not (root / name).is_file():
                raise DataError(f"{path}: no image {name!r} in {root}")
        info[IMAGE_ROOT] = _relative(root, path.parent)
    for path, content in contents.items():
        write_json(path, content)
    return read_dataset(target)


def _file_names(content: Mapping[str, Any]) -> Iterator[str]:
    images = content.get("images")
    for image in images if isinstance(images, list) else ():
        if isinstance(image, dict) and isinstance(image.get("file_name"), str):
            yield image["file_name"]


def _origin(dataset: Dataset) -> Entry:
    """Return what the COCO files of a data set say on the origin of its images."""
    facts: Entry = {}
    for split in dataset.splits.values():
        if split.volumes is not None:
            facts[VOLUMES] = to_dict(split.volumes)
        if split.mask_pattern is not None:
            facts[MASK_PATTERN] = split.mask_pattern
    if all(split.empty_masks for split in dataset.splits.values()):
        facts[EMPTY_MASKS] = True
    return facts


def _relative(root: Path, folder: Path) -> str:
    # Links in the path of the new folder are resolved, because `..` leads out of their target.
    return Path(os.path.relpath(root.resolve(), folder.resolve())).as_posix()


def _place(path: Path, root: Path) -> str:
    """Return an image's name relative to the data set's folder.

    A COCO file may state absolute names, and a split's folder may be a link.
    """
    for base in (root, *image_folders(root)):
        for image, folder in (
            (Path(os.path.abspath(path)), Path(os.path.abspath(base))),  # noqa: PTH100, keeps links
            (path.resolve(), base.resolve()),
        ):
            with suppress(ValueError):
                name = image.relative_to(folder)
                return (Path(os.path.relpath(base, root)) / name).as_posix()
    raise DataError(f"{path}: not in the folder of the data set {root}")


def _ensure_readable(written: Path, target: Path, images: Iterable[Path]) -> None:
    """Raise DataError unless what was written reads back, with the same images."""
    try:
        again = read_dataset(written)
        splits = [again.split(name) for name in again.splits]
    except DataError as error:
        reason = str(error).replace(str(written), str(target))
        raise DataError(
            f"the new split could not be read back, so it was removed: {reason}"
        ) from error
    found = sorted(sample.path.resolve() for split in splits for sample in split.samples)
    if found != sorted(path.resolve() for path in images):
        raise DataError(f"{target}: read back, the new split has other images, so it was removed")


def _entries(content: Any) -> dict[str, tuple[Entry, list[Entry]]]:
    """Return each image's entry and annotations by its file name."""
    annotations: dict[str | None, list[Entry]] = {}
    for annotation in content["annotations"]:
        owner = identity_of(annotation.get("image_id"))
        if owner is not None:
            annotations.setdefault(owner, []).append(annotation)
    return {
        image["file_name"]: (image, annotations.get(identity_of(image["id"]), []))
        for image in content["images"]
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
