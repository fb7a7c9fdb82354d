"""The scores of outlines and lesions over a whole split, from those of its images or volumes."""

from collections.abc import Sequence

import numpy as np

from runtime.core.settings import LengthUnit
from runtime.scoring.bootstrap import Bootstrap, ratio
from runtime.scoring.clinical import scored_unit
from runtime.scoring.clinical_config import ClinicalConfig
from runtime.scoring.lesions import SIZES, LesionCounts, LesionSummary, lesion_terms
from runtime.scoring.sample_table import SampleTable
from runtime.scoring.surface import SurfaceSummary


def surface_summary(
    images: SampleTable, config: ClinicalConfig, unit: LengthUnit, groups: Sequence[int]
) -> SurfaceSummary | None:
    """Return the scores of a split's outlines; None where they were not asked for.

    Args:
        config, unit: as for the images' scores (`runtime.scoring.clinical`).
        groups: the group of each image; empty if none are known.
    """
    if not images.columns.surface:
        return None
    bootstrap = _bootstrap(images, groups)
    hd95, nsd = images.surface.T
    return SurfaceSummary(
        unit=unit,
        of=scored_unit(images.volumes),
        tolerance=config.tolerance,
        hd95=bootstrap.estimate(hd95),
        nsd=bootstrap.estimate(nsd),
        missed=_missed(images),
    )


def lesion_summary(
    images: SampleTable, config: ClinicalConfig, unit: LengthUnit, groups: Sequence[int]
) -> LesionSummary | None:
    """Return the counts of a split's lesions; None where they were not asked for.

    Args:
        config, unit, groups: as for `surface_summary`.
    """
    if not images.columns.lesions:
        return None
    bootstrap = _bootstrap(images, groups)
    found, lesions, false = lesion_terms(images.lesions).T
    return LesionSummary(
        unit=unit,
        of=scored_unit(images.volumes),
        smallest=config.smallest_lesion,
        sizes=SIZES,
        counts=LesionCounts.of(np.nansum(images.lesions, axis=0)),
        recall=bootstrap.interval(np.nan_to_num(np.stack([found, lesions], axis=1)), ratio),
        false_per_image=bootstrap.mean(false),
    )


def _bootstrap(images: SampleTable, groups: Sequence[int]) -> Bootstrap:
    """Return the bootstrap of outlines and lesions, which most slices of a volume do not have."""
    of_volumes = scored_unit(images.volumes) == "volume"
    return Bootstrap(len(images), groups or None, unit="volume" if of_volumes else "image")


def _missed(images: SampleTable) -> int:
    """Return the number of images, or whole volumes, with foreground and no predicted pixel."""
    numbers: dict[str | int, int] = {}
    of = [
        numbers.setdefault(index if volume is None else volume, len(numbers))
        for index, volume in enumerate(images.volumes)
    ]
    masks = images.thresholded
    target, predicted = (np.bincount(of, each) for each in (masks.target, masks.predicted))
    return int(np.count_nonzero((target > 0.0) & (predicted == 0.0)))
