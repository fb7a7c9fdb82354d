"""Reading the COCO file of a split.

The format is https://cocodataset.org/#format-data. The images may also lie in the folder of another
data set that `info.image_root` names, as in the files that `seg-data split` writes.
"""

import os
from pathlib import Path, PurePosixPath
from typing import Any

from runtime.core.errors import AnnotationError, printable
from runtime.core.json_files import read_json
from runtime.core.schema import from_dict
from runtime.data.defects import Action, Defect
from runtime.data.layouts import SplitPlace, find_splits, names_of
from runtime.data.mask_files import MaskFolder, is_mask_pattern
from runtime.data.samples import sound_categories
from runtime.data.split import Split
from runtime.data.split_reader import SplitReader
from runtime.data.volumes.spec import VolumeSpec

IMAGE_ROOT, MASK_PATTERN, VOLUMES = "image_root", "mask_pattern", "volumes"
"""Fields of a COCO file's `info`: the folder of its images, where their masks are as files of their
own, and how slices of volumes became images."""
EMPTY_MASKS = "empty_masks"
"""Field of a COCO file's `info`: true if an image without an annotation has an empty mask."""


def image_folders(root: Path) -> tuple[Path, ...]:
    """Return the folders in which a data set's COCO files look for their images."""
    return tuple(place.images for place in find_splits(root).values())


def read_split(name: str, place: SplitPlace, intensity: int | None) -> Split:
    """Read the COCO file of a split.

    Args:
        intensity: level of 16-bit images that is white; None for what each image states, or 65535.

    Raises:
        AnnotationError: it is no COCO file, or its images are in a data set that is not there.
    """
    path = place.file
    if place.ambiguous:
        files = names_of([path, *place.others])
        problem = f"several files for the split {name!r}, {files}; keep one of them"
        defect = Defect(name, path.name, None, problem, Action.REFUSED)
        return Split(name, path, (), None, (defect,))
    content = read_json(path, error=AnnotationError)
    for key in ("images", "annotations"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise AnnotationError(f"{path}: not a COCO file, because it has no list {key!r}")
        if not all(isinstance(entry, dict) for entry in content[key]):
            raise AnnotationError(f"{path}: the list {key!r} has entries that are not objects")
    elsewhere = _image_root(path, content)
    # The splits of a data set may be links to other places, here as where it is read itself.
    links = image_folders(elsewhere) if elsewhere else ()
    empty_masks = _info(content).get(EMPTY_MASKS) is True
    images = elsewhere or place.images
    reader = SplitReader(name, path, images, links, intensity=intensity, empty_masks=empty_masks)
    for other in place.others:
        also = f"also {other.name}, a file for the same split"
        reader.defects.note(
            path.name, also, Action.NOT_READ, reason="another file for the same split"
        )
    samples = reader.read(content)
    categories = tuple(str(c.get("name", c["id"])) for c in sound_categories(content))
    return Split(
        name=name,
        annotation_file=path,
        samples=samples,
        license=_license(content),
        defects=tuple(reader.defects.found),
        image_root=elsewhere,
        known_categories=categories,
        volumes=_volumes(path, _info(content)),
        mask_pattern=_mask_pattern(path, _info(content)),
        empty_masks=empty_masks,
    )


def _image_root(path: Path, content: dict[str, Any]) -> Path | None:
    """Return the folder that a COCO file names for its images, if it names one.

    A file of unknown origin could name any folder, so only the folder of a data set is accepted:
    one with COCO files, or one with masks of the images.
    """
    info = _info(content)
    name = info.get(IMAGE_ROOT)
    if name is None:
        return None
    folder = Path(os.path.normpath(path.parent / name)) if isinstance(name, str) else None
    try:
        known = folder is not None and (
            bool(image_folders(folder)) or _has_masks(folder, content, _mask_pattern(path, info))
        )
    except (OSError, ValueError):
        known = False
    if folder is None or not known:
        raise AnnotationError(
            f"{path}: its images are in the data set {str(name)[:200]!r} ({IMAGE_ROOT}), which is "
            f"not there; if it moved, run `seg-data locate {path.parent.parent} --images DIR`"
        )
    return folder


def _has_masks(folder: Path, content: dict[str, Any], pattern: str | None) -> bool:
    """Return whether a folder has a mask of one of the listed images, as an imported one does."""
    names = (image.get("file_name") for image in content["images"])
    paths = (PurePosixPath(name) for name in names if isinstance(name, str))
    masks = MaskFolder(folder, pattern)
    return any(
        not path.is_absolute() and ".." not in path.parts and masks.masks_of(path) != ()
        for path in paths
    )


def _info(content: dict[str, Any]) -> dict[str, Any]:
    info = content.get("info")
    return info if isinstance(info, dict) else {}


def _mask_pattern(path: Path, info: dict[str, Any]) -> str | None:
    pattern = info.get(MASK_PATTERN)
    if pattern is None or (isinstance(pattern, str) and is_mask_pattern(pattern)):
        return pattern
    raise AnnotationError(
        f"{path}: expected a pattern with {{name}}, found {printable(pattern, 80)}"
    )


def _volumes(path: Path, info: dict[str, Any]) -> VolumeSpec | None:
    """Return how a COCO file's images were made of volumes, if it says so."""
    if info.get(VOLUMES) is None:
        return None
    where = f"{path}: {VOLUMES}"
    return from_dict(VolumeSpec, info[VOLUMES], where=where, error=AnnotationError)


def _license(content: dict[str, Any]) -> str | None:
    licenses = content.get("licenses")
    first = licenses[0] if isinstance(licenses, list) and licenses else None
    name = first.get("name") if isinstance(first, dict) else None
    return name if isinstance(name, str) and name else None
