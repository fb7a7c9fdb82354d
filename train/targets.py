"""The splits that a run trains on: its masks and categories are settled, its windows counted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from runtime.core.errors import DataError
from runtime.core.progress import counted
from runtime.core.settings import Resize
from runtime.data.coco import Dataset, read_dataset
from runtime.data.framing import Framing, Windows
from runtime.data.samples import Sample
from runtime.data.split import Split
from runtime.data.targets import choose_targets, target_notes, training_splits
from train.config import TrainConfig


@dataclass(frozen=True, slots=True)
class TrainingSplits:
    """The data set of a run.

    Attributes:
        config: the run's settings, with `masks` as "boxes" or "segmentation".
        notes: sentences on the masks (`runtime.data.targets.target_notes`), on skipped images, and
            on windows.
    """

    dataset: Dataset
    train: Split
    valid: Split
    config: TrainConfig
    notes: tuple[str, ...]


def read_training_splits(config: TrainConfig, dataset: Dataset | None = None) -> TrainingSplits:
    """Read the splits `train` and `valid`, and decide what their masks are drawn from.

    Args:
        dataset: the run's data set, where it was read before: a large COCO file takes a minute.

    Raises:
        DataError: the data set cannot be read, or is not ready to train on.
    """
    if dataset is None:
        dataset = read_dataset(
            config.data, categories=config.categories, intensity=config.intensity
        )
    whole = training_splits(dataset)
    train, valid = whole
    dropped: list[str] = []
    if config.empty == "drop":
        train, valid = (_annotated(dataset, split) for split in whole)
        for split, used in zip(whole, (train, valid), strict=True):
            number = len(split.samples) - len(used.samples)
            images = f"{number} of {len(split.samples)} images"
            dropped.append(f"{split.name}: {images} have no annotation and are skipped.")
    targets = choose_targets(config.masks, (train, valid))
    settled = replace(config, masks=targets.masks)
    windows = _window_note((train, valid), config)
    notes = (*target_notes((train, valid), targets), *dropped, *windows)
    return TrainingSplits(dataset, train, valid, settled, notes)


def training_framing(size: int, resize: Resize) -> Framing:
    """Return how images meet a square input in training; windows are at the images' own scale."""
    sides = (size, size)
    return Framing(sides, resize, sides if resize == "tile" else None)


def windows_of(sample: Sample, framing: Framing) -> Windows:
    """Return the windows of an image, by the size that the COCO file states."""
    return Windows(framing.scaled((sample.height, sample.width)), framing.size)


def _window_note(splits: Sequence[Split], config: TrainConfig) -> list[str]:
    """Return how many windows the images make, in a sentence, where they are divided."""
    if config.resize != "tile":
        return []
    framing = training_framing(config.size, config.resize)
    counts = [
        f"the {counted(len(split.samples), 'image')} of {split.name} make "
        + counted(sum(windows_of(sample, framing).count for sample in split.samples), "window")
        for split in splits
    ]
    return [f"At {config.size}x{config.size}, {' and '.join(counts)}."]


def _annotated(dataset: Dataset, split: Split) -> Split:
    """Return a split without the images that have no annotation of any category.

    Raises:
        DataError: no image remains.
    """
    every = dataset.splits[split.name].samples
    kept = tuple(own for own, whole in zip(split.samples, every, strict=True) if whole.annotations)
    if not kept:
        raise DataError(f"{split.annotation_file}: no image has an annotation")
    return replace(split, samples=kept)
