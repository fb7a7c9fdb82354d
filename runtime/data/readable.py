"""Leaving out the samples of a split that cannot be read, by name."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from runtime.core.errors import DataError
from runtime.core.machine import available_cores
from runtime.core.workers import map_ahead
from runtime.data.coco import Split
from runtime.data.images import Size, load_scan
from runtime.data.samples import MaskKind, Sample


@dataclass(frozen=True, slots=True)
class Skipped:
    """An image that was left out.

    Attributes:
        split: the split's name.
        file: as the COCO file calls it.
        reason: the sentence that tells why it cannot be read.
    """

    split: str
    file: str
    reason: str


def readable_part(
    split: Split,
    size: Size,
    *,
    masks: MaskKind = "boxes",
    on_image: Callable[[int, int], None] | None = None,
) -> tuple[Split, tuple[Skipped, ...]]:
    """Return a split without the samples that cannot be read at `size`, and those.

    Each image is decoded and each mask drawn, in threads.

    Args:
        split: may lack images, as `Dataset.split` gives it with `missing=True`.
        on_image: called with the number of images done and of all.

    Raises:
        DataError: no sample can be read.
    """

    def fault(sample: Sample) -> str | None:
        try:
            load_scan(sample.path, size)
            sample.mask(size, masks)
        except DataError as error:
            return str(error)
        return None

    cores = available_cores()
    kept, skipped = [], []
    faults = map_ahead(fault, split.samples, workers=cores, ahead=2 * cores)
    for sample, reason in zip(split.samples, faults, strict=True):
        if reason is None:
            kept.append(sample)
        else:
            skipped.append(Skipped(split.name, sample.file_name, reason))
        if on_image is not None:
            on_image(len(kept) + len(skipped), len(split.samples))
    if not kept:
        raise DataError(
            f"{split.annotation_file}: expected images that can be read, found none; the first: "
            f"{skipped[0].reason}"
        )
    return replace(split, samples=tuple(kept)), tuple(skipped)
