"""Predicting pictures and volumes, and writing a probability map and an overlay for each."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from runtime.core.errors import ImageError
from runtime.core.files import ensure_apart
from runtime.core.progress import Progress, ProgressCallback
from runtime.core.workers import map_ahead
from runtime.data.images import load_scan
from runtime.data.orientation import Size
from runtime.data.resizing import resize_map
from runtime.data.volumes.formats import format_of
from runtime.metrics import THRESHOLD
from runtime.model.image_files import FoundImage
from runtime.model.overlay import draw_overlay, write_picture, write_probability
from runtime.model.predict_volumes import predict_volume_file
from runtime.model.predictor import Predictor
from runtime.model.volumes import volume_rule

MapFormat = Literal["png", "npy"]
_MAP, _OVERLAY, _MASK = ".probability", ".overlay", ".mask"
_VOLUME_ENDINGS = (".nii", ".nii.gz", ".dcm")
"""Endings of results of volumes, which must not replace an input."""
_SLICE = {
    "headers": "reading header",
    "read": "reading slice",
    "predict": "slice",
    "write": "writing slice",
}
"""A unit of each phase of a volume, in words."""


@dataclass(frozen=True, slots=True)
class FilePrediction:
    """The files that were written for an image, and its result in two numbers.

    Attributes:
        image: the image file, or its pseudonym.
        size: (height, width) of the image, or of a volume's slices.
        probability, overlay: the written files.
        highest: the highest probability.
        foreground_share: share of pixels with a probability of at least the threshold, in [0, 1].
        area: number of these pixels, or voxels.
        milliliters: their volume; None for a picture, and where the spacing is unknown.
        kind: "image", "volume" or "series".
        mask: the written mask; None without a threshold.
    """

    image: Path
    size: Size
    probability: Path
    overlay: Path
    highest: float
    foreground_share: float
    area: int = 0
    milliliters: float | None = None
    mask: Path | None = None
    kind: str = "image"


def predict_files(
    predictor: Predictor,
    images: Sequence[FoundImage],
    out: str | Path,
    *,
    map_format: MapFormat = "png",
    frame: int | None = None,
    volume: int | None = None,
    threshold: float | None = None,
    on_progress: ProgressCallback | None = None,
    on_error: Callable[[ImageError], None] | None = None,
) -> tuple[FilePrediction, ...]:
    """Predict images, and write NAME.probability.png (or .npy) and NAME.overlay.png for each.

    Pictures are predicted ahead in threads, as many at once as the predictor's `concurrency`. One
    at a time is held at its own size.
    Results of a volume are on its own grid and in its own format, and the overlay shows several
    slices. With a threshold, NAME.mask.png is written too, 255 where the probability is at least
    as high; of a volume, its levels are 0 and 1.

    Args:
        out: the output folder, which is created where needed.
        map_format: of the probability map of a picture: "png" (16 bits) or "npy" (float32).
        frame: of files with several images, from 1.
        volume: of files with several volumes, from 1.
        threshold: of the mask, in [0, 1]; None for no mask.
        on_progress: called after each image, and after each slice of a volume that is read,
            predicted or written, with the images done and their total number.
        on_error: called for an image that cannot be read, which is then skipped; by default the
            error is raised.

    Returns:
        One entry for each image that was not skipped, in order.

    Raises:
        ImageError: an image cannot be read.
        ModelError: the network cannot be run on an image.
        OutputError: a result cannot be written, or would replace one of the images.
    """
    results = (result_files(image, out, map_format) for image in images)
    ensure_apart(chain.from_iterable(results), [image.path for image in images])
    written = []
    predict, many = partial(_predicted, predictor, frame), predictor.concurrency
    pictures = map_ahead(predict, images, workers=many, ahead=many)
    for index, (image, picture) in enumerate(zip(images, pictures, strict=True)):
        try:
            if picture is None:
                told = _of_slices(index, len(images), on_progress)
                base = Path(out) / image.name
                written.append(_predict_volume(predictor, image, base, threshold, volume, told))
            elif isinstance(picture, ImageError):
                raise picture
            else:
                pixels, probability = _full_size(predictor, image, frame, *picture)
                files = result_files(image, out, map_format)
                written.append(_write(image, files, pixels, probability, threshold))
        except ImageError as error:
            if on_error is None:
                raise
            on_error(error)
        if on_progress is not None:
            on_progress(Progress(index + 1, len(images), "predict"))
    return tuple(written)


def _predicted(
    predictor: Predictor, frame: int | None, image: FoundImage
) -> tuple[NDArray[np.float32], Size] | ImageError | None:
    """Return `predict_scaled` of a picture, or why it cannot be read; None for a volume.

    The error is returned, because the images after it may be predicted nevertheless.
    """
    if format_of(image.path) is not None:
        return None
    try:
        with _named(image):
            return predictor.predict_scaled(image.path, frame=frame)
    except ImageError as error:
        return error


def _full_size(
    predictor: Predictor,
    image: FoundImage,
    frame: int | None,
    probability: NDArray[np.float32],
    size: Size,
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return a picture and its map, both at the picture's own size."""
    with _named(image):
        scan = load_scan(image.path, frame=frame, intensity=predictor.intensity)
        return scan.pixels, resize_map(probability, size)


@contextmanager
def _named(image: FoundImage) -> Iterator[None]:
    """Name the image for which the memory is not enough."""
    try:
        yield
    except MemoryError as error:
        raise ImageError(f"{image.path}: image too large for the available memory") from error


def volume_note(predictor: Predictor, paths: Iterable[Path]) -> str | None:
    """Return what to say where volumes are predicted by a network trained on pictures."""
    forms = {form.name: form for path in paths if (form := format_of(path)) is not None}
    if volume_rule(predictor) is not None or not forms:
        return None
    taken = []
    for rule in (form.rule for form in forms.values()):
        shares = f"the percentiles {rule.low:g} and {rule.high:g} of each volume as black and white"
        if rule.range == "stated":
            taken.append(f"DICOM slices as acquired, in the window that they state, or {shares}")
        else:
            taken.append(f"{rule.plane} slices, and {shares}")
    return f"the file does not say how slices become images; taking {'; '.join(taken)}"


def _predict_volume(
    predictor: Predictor,
    image: FoundImage,
    base: Path,
    threshold: float | None,
    number: int | None,
    on_progress: ProgressCallback | None,
) -> FilePrediction:
    form = format_of(image.path)
    assert form is not None
    found = predict_volume_file(
        predictor,
        image.path,
        form,
        base,
        threshold=threshold,
        number=number,
        patient=image.pseudonym,
        on_progress=on_progress,
    )
    return FilePrediction(
        image.shown,
        found.size,
        found.files[0],
        found.overlay,
        found.highest,
        found.area / found.voxels,
        found.area,
        found.milliliters,
        found.files[-1] if threshold is not None else None,
        form.unit,
    )


def _of_slices(
    index: int, images: int, on_progress: ProgressCallback | None
) -> ProgressCallback | None:
    """Return a callback that reports the slices of a volume as shares of it."""
    if on_progress is None:
        return None

    def of_volume(slices: Progress) -> None:
        share = {"predict": slices.fraction, "write": 1.0}.get(slices.phase, 0.0)
        note = f"{_SLICE[slices.phase]} {slices.done:g} of {slices.total:g}"
        on_progress(Progress(index + share, images, slices.phase, note))

    return of_volume


def result_files(image: FoundImage, out: str | Path, map_format: MapFormat) -> tuple[Path, ...]:
    """Return the paths of an image's map, overlay and mask; all that may be, of a volume."""
    base = Path(out) / image.name
    names = [f"{_MAP}.{map_format}", f"{_OVERLAY}.png", f"{_MASK}.png"]
    if format_of(image.path) is not None:
        names += [kind + ending for kind in (_MAP, _MASK) for ending in _VOLUME_ENDINGS]
    return tuple(base.with_name(base.name + name) for name in names)


def _write(
    image: FoundImage,
    files: tuple[Path, ...],
    pixels: NDArray[np.uint8],
    probability: NDArray[np.float32],
    threshold: float | None,
) -> FilePrediction:
    map_file, overlay_file, mask_file = files
    inside = probability >= (THRESHOLD if threshold is None else threshold)
    write_probability(map_file, probability)
    write_picture(overlay_file, draw_overlay(pixels, probability))
    if threshold is not None:
        write_picture(mask_file, inside.astype(np.uint8) * np.uint8(255))
    return FilePrediction(
        image.shown,
        (probability.shape[0], probability.shape[1]),
        map_file,
        overlay_file,
        float(probability.max()),
        float(inside.mean()),
        int(inside.sum()),
        mask=mask_file if threshold is not None else None,
    )
