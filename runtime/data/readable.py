"""Skipping the samples of a split that cannot be read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from runtime.core.errors import DataError
from runtime.core.machine import available_cores
from runtime.core.progress import Progress, ProgressCallback
from runtime.core.settings import MaskChoice, MaskKind
from runtime.core.workers import map_ahead
from runtime.data.orientation import Size
from runtime.data.samples import Sample
from runtime.data.split import Split
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
    kind = choose_targets(masks, [split]).masks
    readable, skipped = readable_samples(
        split.samples, split.name, size, masks=kind, on_progress=on_progress
    )
    if not readable:
        raise none_readable(split.annotation_file, skipped[0])
    return replace(split, samples=readable), skipped


def readable_samples(
    samples: Sequence[Sample],
    split: str,
    size: Size,
    *,
    masks: MaskKind,
    on_progress: ProgressCallback | None = None,
) -> tuple[tuple[Sample, ...], tuple[Skipped, ...]]:
    """Return the samples that can be read, and the others; see `readable_part`.

    Args:
        samples: of the split with the name `split`, or some of them.
    """
    cores = available_cores()
    readable, skipped = [], []
    fault = partial(_fault, size=size, masks=masks)
    faults = map_ahead(fault, samples, workers=cores, ahead=2 * cores)
    for sample, reason in zip(samples, faults, strict=True):
        if reason is None:
            readable.append(sample)
        else:
            skipped.append(Skipped(split, sample.file_name, reason))
        if on_progress is not None:
            done = len(readable) + len(skipped)
            on_progress(Progress(done, len(samples), f"read {split}"))
    return tuple(readable), tuple(skipped)


def none_readable(annotation_file: Path, first: Skipped) -> DataError:
    """Return the error of a split of which no image can be read, with the reason for the first."""
    return DataError(
        f"{annotation_file}: none of the images can be read; the first: {first.reason}"
    )


def _fault(sample: Sample, *, size: Size, masks: MaskKind) -> str | None:
    """Return why a sample cannot be read; None where it can."""
    try:
        sample.load(size)
        sample.mask(size, masks)
    except DataError as error:
        return str(error)
    return None
