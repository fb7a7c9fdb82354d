"""Parts of an evaluation: the sums over some images of a split."""

from collections.abc import Sequence
from dataclasses import dataclass

from runtime.core.settings import LengthUnit, MaskKind
from runtime.data.readable import Skipped
from runtime.data.samples import Sample
from runtime.scoring.clinical_config import ClinicalConfig
from runtime.scoring.evaluation import NetworkSums
from runtime.scoring.results import FileFacts


@dataclass(frozen=True, slots=True)
class Heading:
    """The facts that a report states besides the scores.

    Attributes:
        annotation_file: the COCO file of the split.
        clinical, unit: of the clinical scores.
        skipped: the images of the train split that cannot be read; the parts list the others.

    The other attributes are those of `EvaluationReport`.
    """

    data: str
    annotation_file: str
    split: str
    masks: MaskKind
    clinical: ClinicalConfig
    unit: LengthUnit
    models: tuple[FileFacts, ...]
    warnings: tuple[str, ...]
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """The sums over the images from `start` to `stop`, exclusively, of a split.

    Attributes:
        identity: everything that the sums depend on, by name; equal in all parts of an evaluation.
        images: number of images of the split.
        networks, baselines: the sums of each.
        groups: the group of each image that is not skipped, as the data set states it.
        skipped: the images that cannot be read.
        heading: of the report; None unless `start` is 0.
    """

    identity: dict[str, str]
    images: int
    start: int
    stop: int
    networks: tuple[NetworkSums, ...]
    baselines: tuple[NetworkSums, ...]
    groups: tuple[int | None, ...]
    skipped: tuple[Skipped, ...]
    heading: Heading | None = None


def uncut(samples: Sequence[Sample], index: int) -> int:
    """Return the last place up to `index` before which no volume is that continues behind it.

    Example:
        >>> from pathlib import Path
        >>> from runtime.data.samples import VolumeSlice
        >>> slices = [VolumeSlice(name, number) for name in "AB" for number in range(3)]
        >>> images = [Sample(Path("a.png"), "a.png", 8, 8, (), slice=place) for place in slices]
        >>> [uncut(images, index) for index in (0, 2, 3, 5, 6)]
        [0, 0, 3, 3, 6]
    """
    first: dict[str, int] = {}
    for number, sample in enumerate(samples):
        if sample.slice is not None:
            first.setdefault(sample.slice.volume, number)
    while True:
        behind = [first[s.slice.volume] for s in samples[index:] if s.slice is not None]
        before = min(behind, default=index)
        if before >= index:
            return index
        index = before


def shard_range(shard: int, shards: int, images: int) -> tuple[int, int]:
    """Return start and stop of a shard, numbered from 1, of so many images.

    Example:
        >>> [shard_range(shard, 3, 10) for shard in (1, 2, 3)]
        [(0, 3), (3, 6), (6, 10)]
    """
    return images * (shard - 1) // shards, images * shard // shards
