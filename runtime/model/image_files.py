"""The image files that patterns name, and the names of their results."""

import csv
import glob
import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.core.errors import ImageError
from runtime.core.files import write_text
from runtime.core.pseudonyms import Pseudonyms
from runtime.data.images import SUFFIXES
from runtime.data.volumes.formats import VolumeFormat, format_of
from runtime.model.overlay import is_result


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image file to predict.

    Attributes:
        path: of the image.
        name: of its results, without endings, relative to the output folder.
        pseudonym: stands for the image and its patient in results; None for their own names.
    """

    path: Path
    name: Path
    pseudonym: str | None = None

    @property
    def shown(self) -> Path:
        """The path or the pseudonym, for tables."""
        return self.path if self.pseudonym is None else Path(self.pseudonym)


def find_images(patterns: Sequence[str]) -> tuple[FoundImage, ...]:
    """Find the pictures and volumes that the patterns name, each once.

    Results of images in a folder keep their place below it. Images that would then have results of
    equal names get the shortest ends of their folders' paths that differ: results of `1/a.png` and
    `2/a.png` are named `1/a` and `2/a`. Pictures that this toolkit has written
    are passed over, wherever they lie, and so are companion files of macOS (`._scan.png`).

    Args:
        patterns: files, folders (searched recursively) and globs.

    Raises:
        ImageError: a pattern names no image, or a folder cannot be read.
    """
    return with_own_names(iter_images(patterns))


def iter_images(patterns: Sequence[str]) -> Iterator[FoundImage]:
    """Yield what `find_images` finds, before it is known if files or names appear twice.

    Memory does not grow with the number of images, except for the names in one folder.

    Raises:
        ImageError: as for `find_images`.
    """
    found = False
    result: Path | None = None
    for pattern in patterns:
        matched = chosen = False
        try:
            for image in _matches(pattern):  # a shell may have expanded a glob to files
                matched = True
                if _is_passed_over(image.path):
                    result = image.path
                else:
                    found = chosen = True
                    yield image
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ImageError(f"{error.filename or pattern}: cannot be read, {reason}") from error
        if not chosen and _is_folder(Path(pattern)):
            but = " except results of this command" if matched else ""
            raise ImageError(f"{pattern}: no images in this folder{but}")
    if not found and result is not None:
        raise ImageError(f"{result}: a result of this command or a file of macOS, not an image")


def with_pseudonyms(images: Sequence[FoundImage], names: Pseudonyms) -> tuple[FoundImage, ...]:
    """Return the images, their results named by pseudonyms."""
    known = [(image.path, names.of(image.path)) for image in images]
    return tuple(FoundImage(path, Path(name), name) for path, name in known)


def write_names(path: Path, images: Sequence[FoundImage]) -> None:
    """Write which image each pseudonym stands for, as CSV. Raises OutputError."""
    table = io.StringIO()
    rows = [("pseudonym", "image"), *((image.pseudonym, image.path) for image in images)]
    csv.writer(table, lineterminator="\n").writerows(rows)
    write_text(path, table.getvalue())


def with_own_names(images: Iterable[FoundImage]) -> tuple[FoundImage, ...]:
    """Return the images, each once, those of equal names with folders that tell them apart.

    Files of one folder that differ in their endings keep these: `a.png`, `a.tif`.
    """
    by_path: dict[Path, FoundImage] = {}
    for image in images:
        by_path.setdefault(image.path.resolve(), image)
    names = _names_in_folders(by_path)
    above = []
    for path, image in by_path.items():
        parts = path.parent.parts[1:]
        above.append(parts[: len(parts) - len(image.name.parent.parts)])
    depths = [0] * len(names)
    while True:
        chosen = [
            Path(*parts[max(0, len(parts) - depth) :], name)
            for parts, depth, name in zip(above, depths, names, strict=True)
        ]
        counts = Counter(chosen)
        alike = [index for index, name in enumerate(chosen) if counts[name] > 1]
        if not alike:
            named = zip(by_path.values(), chosen, strict=True)
            return tuple(FoundImage(image.path, name) for image, name in named)
        for index in alike:
            depths[index] += 1


def _names_in_folders(images: Mapping[Path, FoundImage]) -> list[Path]:
    """Return the names of images by their resolved paths; those of one folder differ."""
    names = [image.name for image in images.values()]
    folders = [path.parent for path in images]
    while True:
        keys = [(folder, name.name) for folder, name in zip(folders, names, strict=True)]
        counts = Counter(keys)
        if len(counts) == len(keys):
            return names
        # With its ending, `b.png` may have the name that `b.png.png` has without: then again.
        files = [image.path.name for image in images.values()]
        names = [
            name if counts[key] == 1 else name.with_name(file)
            for name, key, file in zip(names, keys, files, strict=True)
        ]


def _matches(pattern: str) -> Iterator[FoundImage]:
    path = Path(pattern)
    if _is_folder(path):
        with os.scandir(path):  # raises, where a folder inside is passed over
            pass
        for file in _scans(path):
            yield FoundImage(file, file.relative_to(path).with_name(_stem(file)))
    elif path.exists():
        yield FoundImage(path, Path(_stem(path)))
    else:
        files = sorted(Path(name) for name in glob.glob(pattern, recursive=True))  # noqa: PTH207
        files = [p for p in files if p.is_file()]
        if not files:
            raise ImageError(f"{pattern}: no such image or folder, and no file matches")
        yield from (FoundImage(p, Path(_stem(p))) for p in files)


def _is_folder(path: Path) -> bool:
    """Return whether a path is a folder of images, and not one that is a volume."""
    return path.is_dir() and format_of(path) is None


def _scans(folder: Path, form: VolumeFormat | None = None) -> Iterator[Path]:
    """Yield pictures, volumes in files, and folders that are volumes, in and below a folder.

    They are in the order of their names. Links to folders are not followed, and folders that must
    not be read are passed over.

    Args:
        form: of the volume that the folder is.
    """
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries)
    except PermissionError:
        return
    for path in (folder / name for name in names):
        if path.is_dir():
            inside = format_of(path)
            if inside is not None:
                yield path
            if not path.is_symlink():
                yield from _scans(path, inside)
        else:
            is_slice = form is not None and form.recognizes(path)
            is_picture = path.suffix.lower() in SUFFIXES
            if (is_picture or not is_slice) and path.is_file() and _is_scan(path):
                yield path


def _is_scan(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES or format_of(path) is not None


def _stem(path: Path) -> str:
    """Return a file's name without its endings, such as `.nii.gz`; a folder's as it is."""
    if path.is_dir():
        return path.name
    return Path(path.stem).stem if path.suffix.lower() == ".gz" else path.stem


def _is_passed_over(path: Path) -> bool:
    """Return whether a file is no image to predict: a result, or a companion file of macOS.

    The latter (AppleDouble, `._scan.png`) hold what other file systems cannot store of `scan.png`.
    """
    written = format_of(path)
    is_volume = written is not None and written.is_result(path)
    return path.name.startswith("._") or is_volume or is_result(path)
