"""Scores of one image that clinicians ask for: its outline and its lesions.

`runtime.scoring.surface` and `runtime.scoring.lesions` define them. Lengths are in mm if every
image of the split states its spacing, and in pixels of the images as they are stored otherwise.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.core.settings import LengthUnit, MaskKind
from runtime.data.orientation import Size
from runtime.data.samples import Sample
from runtime.metrics import THRESHOLD
from runtime.scoring.clinical_config import ClinicalConfig
from runtime.scoring.lesions import LesionCounts, lesion_counts
from runtime.scoring.surface import SurfaceScores, surface_scores


def unit_of(samples: Sequence[Sample]) -> LengthUnit:
    """Return the unit of lengths: mm if every image states its spacing."""
    return "mm" if all(sample.spacing for sample in samples) else "px"


def clinical_scores(
    sample: Sample,
    probability: NDArray[np.floating[Any]],
    mask: NDArray[np.uint8],
    config: ClinicalConfig,
    unit: LengthUnit,
) -> tuple[SurfaceScores | None, LesionCounts | None]:
    """Return the scores of one image that were asked for.

    Args:
        sample: the image.
        probability: floats [H, W] in [0, 1].
        mask: of 0 and 1, [H, W].
        config: says what is asked for.
        unit: of lengths.
    """
    if not (config.surface or config.lesions):
        return None, None
    predicted, target = probability >= THRESHOLD, mask.astype(bool)
    pixel = pixel_size(sample, target.shape, unit)
    surface = lesions = None
    if config.surface:
        surface = surface_scores(predicted, target, pixel=pixel, tolerance=config.tolerance)
    if config.lesions:
        lesions = lesion_counts(predicted, target, pixel=pixel, smallest=config.smallest_lesion)
    return surface, lesions


def pixel_size(sample: Sample, size: Size, unit: LengthUnit) -> tuple[float, float]:
    """Return the height and width of a pixel, where an image is scored at another size.

    Example:
        >>> from pathlib import Path
        >>> sample = Sample(Path("a.png"), "a.png", 640, 512, (), spacing=(0.5, 0.5))
        >>> pixel_size(sample, (256, 256), "mm"), pixel_size(sample, (256, 256), "px")
        ((1.0, 1.25), (2.0, 2.5))
    """
    height, width = sample.spacing if unit == "mm" and sample.spacing else (1.0, 1.0)
    return height * sample.height / size[0], width * sample.width / size[1]


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
            f"The tolerance of {config.tolerance:g} {unit} is less than a pixel at the scored "
            f"size, up to {coarsest:.3g} {unit}: the normalized surface distance is low."
        )
    return tuple(notes)
