"""The splits that a run trains on, with its choice of masks and categories settled."""

from dataclasses import dataclass, replace

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
    splits = training_splits(dataset)
    targets = choose_targets(config.masks, splits)
    settled = replace(config, masks=targets.masks)
    return TrainingSplits(dataset, *splits, settled, target_notes(splits, targets))
