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
from runtime.model.overlay import draw_overlay, is_result, write_picture, write_probability
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

    Results of images in a folder keep their place below it. Pictures that this toolkit has written
    are passed over, wherever they lie, and so are companion files of macOS (`._scan.png`).

    Args:
        patterns: files, folders (searched recursively) and globs.

    Raises:
        ImageError: a pattern names no image, or a folder cannot be read.
        OutputError: two images would write the same results.
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
        chosen = sorted(p for p in files if not _is_passed_over(p))
        if not chosen:
            but = " except results of this command" if files else ""
            raise ImageError(f"{path}: no images in this folder{but}")
        return [FoundImage(p, p.relative_to(path).with_suffix("")) for p in chosen]
    if path.exists():
        return [FoundImage(path, Path(path.stem))]
    files = sorted(Path(name) for name in glob.glob(pattern, recursive=True))  # noqa: PTH207
    files = [p for p in files if p.is_file()]
    if not files:
        raise ImageError(f"{pattern}: no such image or folder, and no file matches")
    return [FoundImage(p, Path(p.stem)) for p in files]


def _is_passed_over(path: Path) -> bool:
    """Return whether a file is no image to predict: a result, or a companion file of macOS.

    The latter (AppleDouble, `._scan.png`) hold what other file systems cannot store of `scan.png`.
    """
    return path.name.startswith("._") or is_result(path)


def predict_files(
    predictor: Predictor,
    images: Sequence[FoundImage],
    out: str | Path,
    *,
    map_format: MapFormat = "png",
    frame: int | None = None,
    on_progress: ProgressCallback | None = None,
    on_error: Callable[[ImageError], None] | None = None,
) -> tuple[FilePrediction, ...]:
    """Predict images, and write NAME.probability.png (or .npy) and NAME.overlay.png for each.

    Args:
        out: the output folder, which is created where needed.
        map_format: of the probability map: "png" (16 bits) or "npy" (float32).
        frame: of files with several images, from 1.
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
            pixels, probability = _predicted(predictor, image.path, frame)
        except ImageError as error:
            if on_error is None:
                raise
            on_error(error)
        else:
            written.append(_write(image, Path(out), map_format, pixels, probability))
        if on_progress is not None:
            on_progress(Progress(index + 1, len(images), "predict"))
    return tuple(written)


def _predicted(
    predictor: Predictor, path: Path, frame: int | None
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    try:
        scan = load_scan(path, frame=frame, intensity=predictor.intensity)
        return scan.pixels, predictor(path, frame=frame)
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
