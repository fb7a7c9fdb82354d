"""The image files that patterns name, and the names of their results."""

import csv
import glob
import io
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.core.errors import ImageError
from runtime.core.files import write_text
from runtime.core.pseudonyms import Pseudonyms
from runtime.data.images import SUFFIXES
from runtime.data.volumes.formats import format_of
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
    found: dict[Path, FoundImage] = {}
    result: Path | None = None
    for pattern in patterns:
        try:
            matches = _matches(pattern)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ImageError(f"{error.filename or pattern}: cannot be read, {reason}") from error
        for image in matches:  # a shell may have expanded a glob to files
            if _is_passed_over(image.path):
                result = image.path
            else:
                found.setdefault(image.path.resolve(), image)
    if not found and result is not None:
        raise ImageError(f"{result}: a result of this command or a file of macOS, not an image")
    return _with_own_names(list(found.values()))


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


def _with_own_names(images: Sequence[FoundImage]) -> tuple[FoundImage, ...]:
    """Return the images, those of equal names with as many of their folders as tell them apart.

    Files of one folder that differ in their endings keep these: `a.png`, `a.tif`.
    """
    folders = [image.path.resolve().parent for image in images]
    stems = Counter(
        (folder, image.name.name) for folder, image in zip(folders, images, strict=True)
    )
    names, above = [], []
    for folder, image in zip(folders, images, strict=True):
        alone = stems[folder, image.name.name] == 1
        names.append(image.name if alone else image.name.with_name(image.path.name))
        parts = folder.parts[1:]
        above.append(parts[: len(parts) - len(image.name.parent.parts)])
    depths = [0] * len(images)
    while True:
        chosen = [
            Path(*parts[max(0, len(parts) - depth) :], name)
            for parts, depth, name in zip(above, depths, names, strict=True)
        ]
        counts = Counter(chosen)
        alike = [index for index, name in enumerate(chosen) if counts[name] > 1]
        if not alike:
            named = zip(images, chosen, strict=True)
            return tuple(FoundImage(image.path, name) for image, name in named)
        for index in alike:
            depths[index] += 1


def _matches(pattern: str) -> list[FoundImage]:
    path = Path(pattern)
    if path.is_dir() and format_of(path) is None:
        with os.scandir(path):  # raises, where rglob would find nothing
            pass
        files = list(_scans(path))
        chosen = sorted(p for p in files if not _is_passed_over(p))
        if not chosen:
            but = " except results of this command" if files else ""
            raise ImageError(f"{path}: no images in this folder{but}")
        return [FoundImage(p, p.relative_to(path).with_name(_stem(p))) for p in chosen]
    if path.exists():
        return [FoundImage(path, Path(_stem(path)))]
    files = sorted(Path(name) for name in glob.glob(pattern, recursive=True))  # noqa: PTH207
    files = [p for p in files if p.is_file()]
    if not files:
        raise ImageError(f"{pattern}: no such image or folder, and no file matches")
    return [FoundImage(p, Path(_stem(p))) for p in files]


def _scans(folder: Path) -> Iterator[Path]:
    """Yield pictures, volumes in files, and folders that are volumes, in and below a folder."""
    inside = sorted(folder.rglob("*"))
    volumes = {p: form for p in inside if p.is_dir() and (form := format_of(p)) is not None}
    yield from volumes
    for path in inside:
        form = volumes.get(path.parent)
        part = form is not None and form.recognizes(path) and path.suffix.lower() not in SUFFIXES
        if not part and path.is_file() and _is_scan(path):
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
