"""Skipping the samples of a split that cannot be read."""

from dataclasses import dataclass, replace
from functools import partial

from runtime.core.errors import DataError
from runtime.core.machine import available_cores
from runtime.core.progress import Progress, ProgressCallback
from runtime.core.settings import MaskChoice, MaskKind
from runtime.core.workers import map_ahead
from runtime.data.coco import Split
from runtime.data.orientation import Size
from runtime.data.samples import Sample
from runtime.data.targets import choose_targets


@dataclass(frozen=True, slots=True)
class Skipped:
    """An image that was skipped.

    Attributes:
        split: name of the split.
        file: name of the image in the COCO file.
        reason: a sentence that says why the image cannot be read.
    """

    split: str
    file: str
    reason: str


def readable_part(
    split: Split,
    size: Size,
    *,
    masks: MaskChoice = "auto",
    on_progress: ProgressCallback | None = None,
) -> tuple[Split, tuple[Skipped, ...]]:
    """Return a split without the samples that cannot be read, and a list of those.

    Each image is decoded and each mask rasterized, in threads.

    Args:
        split: may name missing images, as `Dataset.split` returns it with `allow_missing=True`.
        size: (height, width) at which images and masks are used.
        masks: the kind of masks that is used; "auto" is what the annotations allow
            (`choose_targets`).
        on_progress: called after each image, with numbers of images.

    Raises:
        DataError: no sample can be read.
    """
    cores = available_cores()
    readable, skipped = [], []
    kind = choose_targets(masks, [split]).masks
    fault = partial(_fault, size=size, masks=kind)
    faults = map_ahead(fault, split.samples, workers=cores, ahead=2 * cores)
    for sample, reason in zip(split.samples, faults, strict=True):
        if reason is None:
            readable.append(sample)
        else:
            skipped.append(Skipped(split.name, sample.file_name, reason))
        if on_progress is not None:
            done = len(readable) + len(skipped)
            on_progress(Progress(done, len(split.samples), f"read {split.name}"))
    if not readable:
        raise DataError(
            f"{split.annotation_file}: none of the images can be read; the first: "
            f"{skipped[0].reason}"
        )
    return replace(split, samples=tuple(readable)), tuple(skipped)


def _fault(sample: Sample, *, size: Size, masks: MaskKind) -> str | None:
    """Return why a sample cannot be read; None where it can."""
    try:
        sample.load(size)
        sample.mask(size, masks)
    except DataError as error:
        return str(error)
    return None
