"""The training that files state: their data, masks and categories."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar, get_args

from runtime.core.errors import ConfigError
from runtime.core.settings import MaskChoice, MaskKind
from runtime.data.coco import Dataset
from runtime.data.manifest import manifest_sha256
from runtime.data.targets import Targets, choose_targets
from runtime.model.metadata import Metadata, TrainingInfo
from runtime.model.onnx_file import OnnxFile

T = TypeVar("T")

_TRAINED_ON = ("train", "valid")


def foreign_training(files: Sequence[OnnxFile], dataset: Dataset) -> tuple[str, ...]:
    """Return a sentence on the files that were trained on another data set; none without such.

    The images they are scored on may then be among their training images, for example after a data
    set was split again. Files without information on their training are ignored.

    Raises:
        AnnotationError, ImageError: a file of the data set cannot be read.
    """
    stated = [(file, _training(file.metadata)) for file in files if file.metadata is not None]
    if not any(known for _, known in stated) or not set(_TRAINED_ON) <= dataset.splits.keys():
        return ()
    here = manifest_sha256(dataset.split(name) for name in _TRAINED_ON)
    foreign = [(file.path.name, known) for file, known in stated if known.keys() - {here}]
    if not foreign:
        return ()
    trained_on = " and ".join(sorted({name for _, known in foreign for name in known.values()}))
    return (
        f"{', '.join(name for name, _ in foreign)}: trained on {trained_on}, not on this data "
        "set's train and valid splits, so the test images may be among the training images.",
    )


def scored_targets(
    files: Sequence[OnnxFile],
    dataset: Dataset,
    split: str,
    *,
    masks: MaskChoice = "auto",
    categories: Sequence[str] = (),
) -> tuple[Dataset, Targets]:
    """Return the data set with the categories to score on, and what masks are drawn from.

    Both are as the files were trained, unless others are asked for.

    Args:
        split: the split that decides what "auto" means for files that do not state their masks. It
            may have missing images.

    Raises:
        ConfigError: the files were trained on different masks or categories.
        DataError: there is no such split or category.
    """
    known = {file.path.name: file.metadata for file in files if file.metadata is not None}
    if not categories:
        stated = {name: _categories(metadata) for name, metadata in known.items()}
        categories = _common(stated, "categories", "give --category") or ()
    chosen = replace(dataset, categories=tuple(categories))
    trained_on = None
    if masks == "auto":
        kinds = {name: trained_masks(metadata) for name, metadata in known.items()}
        trained_on = _common({n: k for n, k in kinds.items() if k}, "masks", "give --masks")
    splits = [chosen.split(split, allow_missing=True)]
    return chosen, choose_targets(masks, splits, trained_on=trained_on)


def trained_masks(metadata: Metadata | None) -> MaskKind | None:
    """Return what masks a network was trained on; None where its file does not say."""
    stated = [training.masks for training in _trainings(metadata)]
    return next((kind for kind in get_args(MaskKind) if kind in stated), None)


def _categories(metadata: Metadata) -> tuple[str, ...]:
    return next((training.categories for training in _trainings(metadata)), ())


def _common(stated: Mapping[str, T], what: str, advice: str) -> T | None:
    """Return what all files state; None where none states it. Raises ConfigError."""
    first = next(iter(stated.items()), None)
    for name, value in stated.items():
        if first is not None and value != first[1]:
            raise ConfigError(
                f"{first[0]} was trained on the {what} {_text(first[1])}, and {name} on "
                f"{_text(value)}; {advice}"
            )
    return None if first is None else first[1]


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "all"
    return str(value)


def _training(metadata: Metadata) -> dict[str, str]:
    """Return the training data's names by fingerprint, of a network or an ensemble's members."""
    return {training.data_sha256: training.data_name for training in _trainings(metadata)}


def _trainings(metadata: Metadata | None) -> list[TrainingInfo]:
    """Return how a network, or each member of an ensemble, was trained."""
    if metadata is None:
        return []
    found = [metadata.training, *(member.training for member in metadata.members)]
    return [training for training in found if training is not None]
