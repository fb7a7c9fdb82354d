"""Predicting image files, with a map and an overlay of each."""

import glob
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.core.errors import ImageError, OutputError
from runtime.core.files import ensure_apart
from runtime.data.images import SUFFIXES, load_scan
from runtime.metrics import THRESHOLD
from runtime.model.overlay import draw_overlay, write_picture, write_probability
from runtime.model.predictor import Predictor

_MAP, _OVERLAY = ".probability", ".overlay"


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image file, and the name of its results, relative to the output folder."""

    path: Path
    name: Path


@dataclass(frozen=True, slots=True)
class FilePrediction:
    """What was written for an image.

    Attributes:
        highest: the highest probability.
        foreground_share: of the pixels, those at 0.5 or more, in [0, 1].
    """

    image: Path
    probability: Path
    overlay: Path
    highest: float
    foreground_share: float


def find_images(patterns: Sequence[str]) -> tuple[FoundImage, ...]:
    """Find the images that files, folders (searched to the bottom) and globs name, once each.

    Results of a folder's images keep their place below it. Overlays and maps that lie in a folder
    beside the image that they are of are no images of it.

    Raises:
        ImageError: a pattern names no image, or what cannot be read.
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
                f"{image.path}: expected names that differ in more than folder and ending, found "
                f"{other} too"
            )
    return tuple(found.values())


def _matches(pattern: str) -> list[FoundImage]:
    path = Path(pattern)
    if path.is_dir():
        with os.scandir(path):  # what cannot be listed looks empty below
            pass
        files = [p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()]
        bases = {p.with_suffix("") for p in files}
        files = sorted(p for p in files if _result_of(p) not in bases)
        if not files:
            raise ImageError(f"{path}: expected images in this folder, found none")
        return [FoundImage(p, p.relative_to(path).with_suffix("")) for p in files]
    if path.exists():
        return [FoundImage(path, Path(path.stem))]
    files = sorted(Path(name) for name in glob.glob(pattern, recursive=True))  # noqa: PTH207
    files = [p for p in files if p.is_file()]
    if not files:
        raise ImageError(f"{pattern}: expected an image, a folder or a glob, found nothing")
    return [FoundImage(p, Path(p.stem)) for p in files]


def _result_of(path: Path) -> Path | None:
    """Return the image, without its ending, whose map or overlay a file is by its name."""
    base = path.with_suffix("")
    return base.with_suffix("") if base.suffix in (_MAP, _OVERLAY) else None


def predict_files(
    predictor: Predictor,
    images: Sequence[FoundImage],
    out: str | Path,
    *,
    form: str = "png",
    on_image: Callable[[int, int], None] | None = None,
    on_error: Callable[[ImageError], None] | None = None,
) -> tuple[FilePrediction, ...]:
    """Write NAME.probability.png (or .npy) and NAME.overlay.png into `out` for each image.

    Args:
        form: "png" (16 bits) or "npy" (float32).
        on_image: called with the number of images done and of all.
        on_error: called for an image that cannot be read, which then has no results; by default
            the error is raised.

    Raises:
        ImageError, ModelError: an image cannot be read, or the network cannot be run on it.
        OutputError: a result cannot be written, or would replace one of the images.
    """
    results = (file for image in images for file in _results(image, Path(out), form))
    ensure_apart(results, [image.path for image in images])
    written = []
    for index, image in enumerate(images):
        try:
            # Both before anything is written, so that an image has all its results or none.
            pixels, probability = _predicted(predictor, image.path)
        except ImageError as error:
            if on_error is None:
                raise
            on_error(error)
        else:
            written.append(_write(image, Path(out), form, pixels, probability))
        if on_image is not None:
            on_image(index + 1, len(images))
    return tuple(written)


def _predicted(predictor: Predictor, path: Path) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    try:
        return load_scan(path).pixels, predictor(path)
    except MemoryError as error:
        raise ImageError(
            f"{path}: expected an image for which there is memory, found too large a one"
        ) from error


def _results(image: FoundImage, out: Path, form: str) -> tuple[Path, Path]:
    """Return the files of an image's map and overlay."""
    base = out / image.name
    names = f"{base.name}{_MAP}.{form}", f"{base.name}{_OVERLAY}.png"
    return base.with_name(names[0]), base.with_name(names[1])


def _write(
    image: FoundImage,
    out: Path,
    form: str,
    pixels: NDArray[np.uint8],
    probability: NDArray[np.float32],
) -> FilePrediction:
    map_file, overlay_file = _results(image, out, form)
    write_probability(map_file, probability)
    write_picture(overlay_file, draw_overlay(pixels, probability))
    share = float((probability >= THRESHOLD).mean())
    return FilePrediction(image.path, map_file, overlay_file, float(probability.max()), share)
