"""The splits that a run trains on, with its choice of masks and categories settled."""

from dataclasses import dataclass, replace

from runtime.core.errors import DataError
from runtime.data.coco import Dataset, Split, read_dataset
from runtime.data.targets import choose_targets, target_notes, training_splits
from train.config import TrainConfig


@dataclass(frozen=True, slots=True)
class TrainingSplits:
    """The data set of a run.

    Attributes:
        config: the run's settings, with `masks` as "boxes" or "segmentation".
        notes: sentences on the masks (`runtime.data.targets.target_notes`).
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
            dropped.append(f"{split.name}: {images} have no annotation and are dropped.")
    targets = choose_targets(config.masks, (train, valid))
    settled = replace(config, masks=targets.masks)
    notes = (*target_notes((train, valid), targets), *dropped)
    return TrainingSplits(dataset, train, valid, settled, notes)


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
