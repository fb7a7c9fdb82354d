"""The splits of a data set side by side: gray levels, and sizes, shapes and places of boxes.

The sides of a box are clipped to the range from a millionth of a pixel to the image's sides, and
its center is clipped to the image.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.core.machine import available_cores
from runtime.core.progress import Progress, ProgressCallback
from runtime.core.settings import MaskChoice, MaskKind
from runtime.core.workers import map_ahead
from runtime.data.coco import Dataset
from runtime.data.orientation import Size
from runtime.data.samples import Sample
from runtime.data.split import Split
from runtime.data.targets import choose_targets, target_notes
from runtime.metrics import Spread, spread
from runtime.report.outliers import Fences, Outlier, distance_beyond, tukey_fences
from runtime.report.two_sample import TwoSampleTest, compare_splits

PIXEL_BINS = 64
CENTER_BINS = 32
DECODED: Size = (256, 256)
"""The study's input size."""

COMPARED = ("gray", "share", "aspect", "center_x", "center_y")
"""The quantities that are compared between splits."""

_SMALLEST = 1e-6


@dataclass(frozen=True, slots=True)
class SplitExploration:
    """The distributions of one split, with values in the order of its COCO file.

    Attributes:
        images, boxes: their numbers.
        unannotated: images without a box.
        pixel_shares: the share of pixels in each of 64 equally wide bins of values in [0, 1].
        pixel_mean, pixel_std: of all pixels.
        gray: each image's mean value, in [0, 1].
        area: each box's width times height, in pixels of the image's stated size.
        share: each box's area as a share of its image's, in [0, 1].
        aspect: each box's width divided by its height.
        center_x, center_y: each box's center, as a share of the image's width and height from its
            upper left corner.
        centers: the number of centers in each of 32x32 equal parts of the image, rows from the top.
        spreads: mean, standard deviation and quartiles of gray, area, share and aspect.
    """

    name: str
    images: int
    boxes: int
    unannotated: int
    pixel_shares: tuple[float, ...]
    pixel_mean: float
    pixel_std: float
    gray: tuple[float, ...]
    area: tuple[float, ...]
    share: tuple[float, ...]
    aspect: tuple[float, ...]
    center_x: tuple[float, ...]
    center_y: tuple[float, ...]
    centers: tuple[tuple[int, ...], ...]
    spreads: dict[str, Spread]

    def values(self, quantity: str) -> tuple[float, ...]:
        """Return the values of one quantity: "gray", "area", "share", "aspect", "center_x" ..."""
        values: tuple[float, ...] = getattr(self, quantity)
        return values


@dataclass(frozen=True, slots=True)
class Exploration:
    """The outcome of `explore`.

    Attributes:
        data: the data set's name.
        decoded_size: (height, width) at which the pixels were read.
        fences: of area, aspect and gray, from all splits together.
        outliers: values outside the fences, and images without annotation; within each kind, the
            farthest first.
        tests: of each compared quantity, for each pair of splits.
        notes: sentences on the masks that would be used (`runtime.data.targets.target_notes`).
        masks: what the masks would be drawn from.
    """

    data: str
    decoded_size: Size
    splits: tuple[SplitExploration, ...]
    fences: tuple[Fences, ...]
    outliers: tuple[Outlier, ...]
    tests: tuple[TwoSampleTest, ...]
    notes: tuple[str, ...] = ()
    masks: MaskKind = "boxes"


def explore(
    dataset: Dataset,
    *,
    size: Size = DECODED,
    masks: MaskChoice = "auto",
    on_progress: ProgressCallback | None = None,
) -> Exploration:
    """Read every image of a data set and compare its splits.

    A pixel's value is the mean of its three channels divided by 255, after the image was decoded
    and resized as for a network.

    Args:
        size: (height, width) at which the images are read.
        masks: what masks would be drawn from, for the notes.
        on_progress: called after each image.

    Raises:
        DataError: a split has no images, or a defect forbids its use.
        ImageError: an image cannot be read.
    """
    splits = [dataset.split(name) for name in dataset.splits]
    total = sum(len(split.samples) for split in splits)
    explored: list[SplitExploration] = []
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        if on_progress is not None:
            on_progress(Progress(done, total))

    for split in splits:
        explored.append(_explore_split(split, size, count))
    fences, outliers = _find_outliers(splits, explored)
    tests = compare_splits({q: {s.name: s.values(q) for s in explored} for q in COMPARED})
    targets = choose_targets(masks, splits)
    return Exploration(
        data=dataset.name,
        decoded_size=size,
        splits=tuple(explored),
        fences=fences,
        outliers=outliers,
        tests=tests,
        notes=target_notes(splits, targets),
        masks=targets.masks,
    )


def _explore_split(split: Split, size: Size, count: Callable[[], None]) -> SplitExploration:
    pixels = size[0] * size[1]
    histogram = np.zeros(PIXEL_BINS, np.int64)
    means, squares = [], []
    for bins, mean, square in _pixel_values(split.samples, size):
        histogram += bins
        means.append(mean)
        squares.append(square)
        count()
    pixel_mean = float(np.mean(means))
    boxes = _boxes(split.samples)
    width, height, center_x, center_y, image_width, image_height = boxes
    area = width * height
    # A row of the picture is a value of y, the histogram's first axis.
    centers, _, _ = np.histogram2d(center_y, center_x, CENTER_BINS, [[0.0, 1.0], [0.0, 1.0]])
    values = {
        "gray": tuple(means),
        "area": tuple(area.tolist()),
        "share": tuple((area / (image_width * image_height)).tolist()),
        "aspect": tuple((width / height).tolist()),
    }
    return SplitExploration(
        name=split.name,
        images=len(split.samples),
        boxes=boxes.shape[1],
        unannotated=sum(not sample.annotations for sample in split.samples),
        pixel_shares=tuple((histogram / (pixels * len(means))).tolist()),
        pixel_mean=pixel_mean,
        pixel_std=float(np.sqrt(max(float(np.mean(squares)) - pixel_mean**2, 0.0))),
        **values,
        center_x=tuple(center_x.tolist()),
        center_y=tuple(center_y.tolist()),
        centers=tuple(tuple(row) for row in centers.astype(int).tolist()),
        spreads={name: spread(of) for name, of in values.items()},
    )


def _pixel_values(
    samples: tuple[Sample, ...], size: Size
) -> Iterator[tuple[NDArray[np.int64], float, float]]:
    """Yield each image's histogram over the bins, its mean value, and its mean squared value."""

    def read(sample: Sample) -> tuple[NDArray[np.int64], float, float]:
        # The sum of three channels is an integer, so the histogram is exact.
        red, green, blue = np.moveaxis(sample.load(size).pixels.astype(np.uint16), 2, 0)
        counts = np.bincount((red + green + blue).ravel(), minlength=3 * 255 + 1)
        value = np.arange(counts.size) / (3 * 255)
        bins = np.minimum(np.arange(counts.size) * PIXEL_BINS // (3 * 255), PIXEL_BINS - 1)
        mean, square = (float(counts @ value**power / red.size) for power in (1, 2))
        return np.bincount(bins, counts, PIXEL_BINS).astype(np.int64), mean, square

    cores = available_cores()
    return map_ahead(read, samples, workers=cores, ahead=8 * cores)


def _boxes(samples: tuple[Sample, ...]) -> NDArray[np.float64]:
    """Return [6, boxes]: width, height, center x and y as shares, the image's width and height."""
    rows = []
    for sample in samples:
        for annotation in sample.annotations:
            x, y, width, height = annotation.box
            rows.append(
                (
                    min(max(width, _SMALLEST), sample.width),
                    min(max(height, _SMALLEST), sample.height),
                    min(max((x + width / 2) / sample.width, 0.0), 1.0),
                    min(max((y + height / 2) / sample.height, 0.0), 1.0),
                    sample.width,
                    sample.height,
                )
            )
    return np.asarray(rows, np.float64).reshape(-1, 6).T


def _find_outliers(
    splits: list[Split], explored: list[SplitExploration]
) -> tuple[tuple[Fences, ...], tuple[Outlier, ...]]:
    outliers = [
        Outlier(split.name, sample.file_name, "annotation", None, float("inf"), "no annotation")
        for split in splits
        for sample in split.samples
        if not sample.annotations
    ]
    fences = (
        tukey_fences("area", [v for s in explored for v in s.area], "log"),
        tukey_fences("aspect", [v for s in explored for v in s.aspect], "log"),
        tukey_fences("gray", [v for s in explored for v in s.gray], "linear"),
    )
    for fence in fences:
        found = []
        for split, values in zip(splits, explored, strict=True):
            by_image = fence.quantity == "gray"
            names = [
                sample.file_name
                for sample in split.samples
                for _ in range(1 if by_image else len(sample.annotations))
            ]
            of = values.values(fence.quantity)
            for name, value, beyond in zip(names, of, distance_beyond(fence, of), strict=True):
                if beyond > 0.0:
                    reason = _reason(fence, value)
                    found.append(Outlier(split.name, name, fence.quantity, value, beyond, reason))
        outliers += sorted(found, key=lambda outlier: -outlier.beyond)
    return fences, tuple(outliers)


def _reason(fence: Fences, value: float) -> str:
    below = value < fence.low
    if fence.quantity == "area":
        digits = 2 if value < 1000.0 else 0
        return f"a {'small' if below else 'large'} box, {value:,.{digits}f} pixels"
    if fence.quantity == "aspect":
        return f"a {'narrow' if below else 'wide'} box, width / height {value:.2f}"
    return f"a {'dark' if below else 'bright'} image, mean value {value:.3f}"
