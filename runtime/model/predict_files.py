"""Predicting image files, and writing a probability map and an overlay for each."""

import glob
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from runtime.core.errors import ImageError, OutputError
from runtime.core.files import ensure_apart
from runtime.core.progress import Progress, ProgressCallback
from runtime.data.images import SUFFIXES, load_scan
from runtime.metrics import THRESHOLD
from runtime.model.overlay import draw_overlay, write_picture, write_probability
from runtime.model.predictor import Predictor

MapFormat = Literal["png", "npy"]
_MAP, _OVERLAY = ".probability", ".overlay"


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image file to predict.

    Attributes:
        path: of the image.
        name: of its results, without endings, relative to the output folder.
    """

    path: Path
    name: Path


@dataclass(frozen=True, slots=True)
class FilePrediction:
    """The files that were written for an image, and its result in two numbers.

    Attributes:
        image: the image file.
        probability, overlay: the written files.
        highest: the highest probability.
        foreground_share: share of pixels with a probability of at least 0.5, in [0, 1].
    """

    image: Path
    probability: Path
    overlay: Path
    highest: float
    foreground_share: float


def find_images(patterns: Sequence[str]) -> tuple[FoundImage, ...]:
    """Find the images that the patterns name, each once.

    Results of images in a folder keep their place below it. In a folder, an overlay or a map is
    ignored if the image that it belongs to is beside it.

    Args:
        patterns: files, folders (searched recursively) and globs.

    Raises:
        ImageError: a pattern names no image, or a folder cannot be read.
        OutputError: two images would write the same results.
    """
    found: dict[Path, FoundImage] = {}
    for pattern in patterns:
        try:
            matches = _matches(pattern)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ImageError(f"{error.filename or pattern}: cannot be read, {reason}") from error
        for image in matches:
            found.setdefault(image.path.resolve(), image)
    owners: dict[Path, Path] = {}
    for image in found.values():
        other = owners.setdefault(image.name, image.path)
        if other != image.path:
            raise OutputError(
                f"{image.path}: its results would have the same name as those of {other}; "
                "predict them into different folders"
            )
    return tuple(found.values())


def _matches(pattern: str) -> list[FoundImage]:
    path = Path(pattern)
    if path.is_dir():
        with os.scandir(path):  # raises, where rglob would find nothing
            pass
        files = [p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()]
        bases = {p.with_suffix("") for p in files}
        files = sorted(p for p in files if _result_of(p) not in bases)
        if not files:
            raise ImageError(f"{path}: no images in this folder")
        return [FoundImage(p, p.relative_to(path).with_suffix("")) for p in files]
    if path.exists():
        return [FoundImage(path, Path(path.stem))]
    files = sorted(Path(name) for name in glob.glob(pattern, recursive=True))  # noqa: PTH207
    files = [p for p in files if p.is_file()]
    if not files:
        raise ImageError(f"{pattern}: no such image or folder, and no file matches")
    return [FoundImage(p, Path(p.stem)) for p in files]


def _result_of(path: Path) -> Path | None:
    """Return the image, without its ending, that a map or an overlay belongs to by its name."""
    base = path.with_suffix("")
    return base.with_suffix("") if base.suffix in (_MAP, _OVERLAY) else None


def predict_files(
    predictor: Predictor,
    images: Sequence[FoundImage],
    out: str | Path,
    *,
    map_format: MapFormat = "png",
    on_progress: ProgressCallback | None = None,
    on_error: Callable[[ImageError], None] | None = None,
) -> tuple[FilePrediction, ...]:
    """Predict images, and write NAME.probability.png (or .npy) and NAME.overlay.png for each.

    Args:
        out: the output folder, which is created where needed.
        map_format: of the probability map: "png" (16 bits) or "npy" (float32).
        on_progress: called after each image, with the images done and their total number.
        on_error: called for an image that cannot be read, which is then skipped; by default the
            error is raised.

    Returns:
        One entry for each image that was not skipped, in order.

    Raises:
        ImageError: an image cannot be read.
        ModelError: the network cannot be run on an image.
        OutputError: a result cannot be written, or would replace one of the images.
    """
    results = (file for image in images for file in _results(image, Path(out), map_format))
    ensure_apart(results, [image.path for image in images])
    written = []
    for index, image in enumerate(images):
        try:
            # Both before anything is written: an image has all of its results, or none.
            pixels, probability = _predicted(predictor, image.path)
        except ImageError as error:
            if on_error is None:
                raise
            on_error(error)
        else:
            written.append(_write(image, Path(out), map_format, pixels, probability))
        if on_progress is not None:
            on_progress(Progress(index + 1, len(images), "predict"))
    return tuple(written)


def _predicted(predictor: Predictor, path: Path) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    try:
        return load_scan(path).pixels, predictor(path)
    except MemoryError as error:
        raise ImageError(f"{path}: image too large for the available memory") from error


def _results(image: FoundImage, out: Path, map_format: MapFormat) -> tuple[Path, Path]:
    """Return the paths of an image's map and overlay."""
    base = out / image.name
    names = f"{base.name}{_MAP}.{map_format}", f"{base.name}{_OVERLAY}.png"
    return base.with_name(names[0]), base.with_name(names[1])


def _write(
    image: FoundImage,
    out: Path,
    map_format: MapFormat,
    pixels: NDArray[np.uint8],
    probability: NDArray[np.float32],
) -> FilePrediction:
    map_file, overlay_file = _results(image, out, map_format)
    write_probability(map_file, probability)
    write_picture(overlay_file, draw_overlay(pixels, probability))
    share = float((probability >= THRESHOLD).mean())
    return FilePrediction(image.path, map_file, overlay_file, float(probability.max()), share)
