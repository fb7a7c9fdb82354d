"""Scores that clinicians ask for, of outlines and lesions: of pictures, and of whole volumes.

`runtime.scoring.surface` and `runtime.scoring.lesions` define them. Images that state to be slices
of one volume are scored together, when the last of them is there. Lengths are in mm if every image
of the split states its spacing, and in pixels of the images as they are stored otherwise.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.core.settings import LengthUnit, MaskKind
from runtime.data.orientation import Size
from runtime.data.samples import Sample
from runtime.metrics import THRESHOLD
from runtime.scoring.clinical_config import ClinicalConfig
from runtime.scoring.lesions import LesionCounts, lesion_counts
from runtime.scoring.surface import ScoredUnit, SurfaceScores, surface_scores

Masks = tuple[NDArray[np.bool], NDArray[np.bool]]
Scored = tuple[SurfaceScores | None, LesionCounts | None]
_UNKNOWN = SurfaceScores(float("nan"), float("nan"))


def unit_of(samples: Sequence[Sample]) -> LengthUnit:
    """Return the unit of lengths: mm if every image states its spacing."""
    known = all(
        sample.spacing and (sample.slice is None or sample.slice.spacing) for sample in samples
    )
    return "mm" if known else "px"


def scored_unit(volumes: Sequence[str | None]) -> ScoredUnit:
    """Return what outlines and lesions are of.

    Args:
        volumes: of which each image is a slice, or None.

    Example:
        >>> scored_unit([None]), scored_unit(["a", "a"]), scored_unit(["a", None])
        ('image', 'volume', 'image or volume')
    """
    if all(volume is None for volume in volumes):
        return "image"
    return "image or volume" if None in volumes else "volume"


@dataclass(slots=True)
class _OpenVolume:
    """The slices of a volume that were scored, until the last one is there.

    Attributes:
        missing: number of slices that are not there yet.
        masks: predicted and target of each slice by its number, eight pixels in a byte.
    """

    missing: int
    masks: dict[int, NDArray[np.uint8]] = field(default_factory=dict)

    def add(self, number: int, masks: Masks) -> None:
        self.masks[number] = np.packbits(np.stack(masks), axis=-1)
        self.missing -= 1


class ClinicalScorer:
    """Scores the outlines and lesions of images, and of volumes as a whole.

    Args:
        samples: all images that will be scored.
        config: says what is asked for.
        unit: of lengths.
    """

    def __init__(self, samples: Sequence[Sample], config: ClinicalConfig, unit: LengthUnit) -> None:
        self._config, self._unit = config, unit
        self._asked = config.surface or config.lesions
        slices = Counter(sample.slice.volume for sample in samples if sample.slice is not None)
        self._open = {name: _OpenVolume(number) for name, number in slices.items()}

    def scores(
        self, sample: Sample, probability: NDArray[np.floating[Any]], mask: NDArray[np.uint8]
    ) -> Scored:
        """Return the scores of an image that were asked for.

        The last slice of a volume gets those of the volume. The others have a surface of NaN, and
        no lesions.

        Args:
            probability: floats [H, W] in [0, 1].
            mask: of 0 and 1, [H, W].
        """
        if not self._asked:
            return None, None
        masks = probability >= THRESHOLD, mask.astype(bool)
        sides = pixel_size(sample, mask.shape, self._unit)
        if sample.slice is None:
            return self._scores(masks, sides)
        volume = self._open[sample.slice.volume]
        volume.add(sample.slice.index, masks)
        if volume.missing:
            return (_UNKNOWN if self._config.surface else None), None
        del self._open[sample.slice.volume]
        numbers, stacked = _stacked(volume.masks, mask.shape[1])
        return self._scores(stacked, sides, numbers)

    def _scores(
        self, masks: Masks, sides: tuple[float, ...], numbers: Sequence[int] | None = None
    ) -> Scored:
        config = self._config
        surface = lesions = None
        if config.surface:
            surface = surface_scores(
                *masks, pixel=sides, tolerance=config.tolerance, numbers=numbers
            )
        if config.lesions:
            lesions = lesion_counts(*masks, pixel=sides, smallest=config.smallest_lesion)
        return surface, lesions


def _stacked(slices: Mapping[int, NDArray[np.uint8]], width: int) -> tuple[list[int], Masks]:
    """Return the numbers of slices, and their masks, bool [slices, H, W].

    Where slices are missing, an empty one keeps apart what lies before and behind.
    """
    behind = {number + 1 for number in slices}
    numbers = sorted({*slices, *behind} - {max(slices) + 1})
    empty = np.zeros_like(next(iter(slices.values())))
    packed = np.stack([slices.get(number, empty) for number in numbers], axis=1)
    predicted, target = np.unpackbits(packed, axis=-1, count=width).view(np.bool)
    return numbers, (predicted, target)


def pixel_size(sample: Sample, size: Size, unit: LengthUnit) -> tuple[float, ...]:
    """Return the sides of a pixel or voxel, where an image is scored at another size.

    Returns:
        Height and width; of a slice, the distance of slices before them.

    Example:
        >>> from pathlib import Path
        >>> sample = Sample(Path("a.png"), "a.png", 640, 512, (), spacing=(0.5, 0.5))
        >>> pixel_size(sample, (256, 256), "mm"), pixel_size(sample, (256, 256), "px")
        ((1.0, 1.25), (2.0, 2.5))
    """
    height, width = sample.spacing if unit == "mm" and sample.spacing else (1.0, 1.0)
    sides = height * sample.height / size[0], width * sample.width / size[1]
    if sample.slice is None:
        return sides
    between = sample.slice.spacing if unit == "mm" else None
    return between or 1.0, *sides


def clinical_notes(
    config: ClinicalConfig | None, samples: Sequence[Sample], sizes: Sequence[Size], masks: MaskKind
) -> tuple[str, ...]:
    """Return what a reader of the surface scores should know, a sentence each."""
    if config is None or not config.surface:
        return ()
    notes = []
    if masks == "boxes":
        notes.append(
            "The masks are boxes: surface scores tell how near a prediction's outline is to a box, "
            "not to what the box surrounds."
        )
    unit = unit_of(samples)
    coarsest = max(max(pixel_size(s, size, unit)) for s in samples for size in sizes)
    if config.tolerance < coarsest:
        notes.append(
            f"The tolerance of {config.tolerance:g} {unit} is less than a pixel or voxel at the "
            f"scored size, up to {coarsest:.3g} {unit}: an outline one of them off is wrong."
        )
    return tuple(notes)
