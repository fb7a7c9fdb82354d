"""The target masks of a data set: what they are drawn from, and what every command says on it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from runtime.core.errors import DataError, printable
from runtime.core.settings import MaskChoice, MaskKind
from runtime.data.coco import Dataset
from runtime.data.defects import Action, Defect
from runtime.data.segmentations import box_of_segmentation, is_box
from runtime.data.split import Split

_TOLD = (
    Action.DROPPED,
    Action.CLIPPED,
    Action.USED_AS_STATED,
    Action.USED_AS_FOREGROUND,
    Action.USED_WITH_DERIVED_BOX,
    Action.USED_WITH_OTHER_SPELLING,
    Action.NOT_READ,
)
"""The actions on defects that every command tells; `seg-data check` lists all defects."""
_MOST_CATEGORIES = 20
_BACKGROUND = ("background", "bg")


@dataclass(frozen=True, slots=True)
class Targets:
    """The source that masks are drawn from.

    Attributes:
        reason: why, in words.
        advice: how to have masks from all outlines, in a sentence, where few are missing.
    """

    masks: MaskKind
    reason: str
    advice: str | None = None


def choose_targets(
    choice: MaskChoice, splits: Iterable[Split], *, trained_on: MaskKind | None = None
) -> Targets:
    """Return what the masks of splits are drawn from.

    "auto" means the masks that a network was trained on. For other uses, it means segmentations
    where every annotation has one, and boxes otherwise; polygons that are all boxes count as boxes.

    Args:
        trained_on: the kind of masks that the network to be scored was trained on, if it is known.

    Example:
        >>> choose_targets("auto", [], trained_on="boxes").masks
        'boxes'
        >>> choose_targets("segmentation", []).reason
        'as asked for'
    """
    if choice != "auto":
        return Targets(choice, "as asked for")
    if trained_on is not None:
        return Targets(trained_on, "as in training")
    total = given = usable = boxes = 0
    lacking = ""
    for split in splits:
        for sample in split.samples:
            original = (sample.height, sample.width)
            for annotation in sample.annotations:
                total += 1
                given += bool(annotation.segmentation)
                boxes += is_box(annotation.segmentation)
                if box_of_segmentation(annotation.segmentation, original) is not None:
                    usable += 1
                elif not lacking:
                    lacking = f"annotation {annotation.id} of {sample.file_name}"
    if not total:
        return Targets("boxes", "there are no annotations")
    if not usable:
        return Targets("boxes", f"no annotation has a {'usable ' if given else ''}segmentation")
    if usable < total:
        rest = total - usable
        reason = (
            f"{rest} of {total} annotations {'has' if rest == 1 else 'have'} no usable segmentation"
        )
        return Targets("boxes", reason, _advice(lacking, rest, total))
    if boxes == total:
        return Targets("boxes", "all polygons are boxes")
    return Targets("segmentation", "every annotation has a segmentation")


def _advice(first: str, lacking: int, total: int) -> str | None:
    """Return how to have masks from outlines where most annotations have one; else None."""
    if 2 * lacking > total:
        return None
    others = f" and {lacking - 1} more" if lacking > 1 else ""
    first = printable(first, 120)
    return f"Mend or remove {first}{others}, and masks are drawn from the outlines of all."


def training_splits(dataset: Dataset) -> tuple[Split, Split]:
    """Return the splits "train" and "valid" of a data set that can be trained on.

    Raises:
        DataError: a split is missing or not usable, or there is nothing to learn in `train`.
    """
    train, valid = dataset.split("train"), dataset.split("valid")
    if not any(sample.annotations for sample in train.samples):
        chosen = f" of {', '.join(train.categories)}" if train.categories else ""
        raise DataError(f"{train.annotation_file}: no annotation{chosen} to train on")
    return train, valid


def target_notes(splits: Sequence[Split], targets: Targets | None = None) -> tuple[str, ...]:
    """Return what every command says about the masks of the splits that it uses.

    These are sentences on what masks are drawn from, on merged categories, on dropped and clipped
    annotations, and on files whose names differ from the COCO file's.

    Args:
        targets: None where each network has its own.
    """
    notes = []
    if targets is not None:
        drawn = "segmentations" if targets.masks == "segmentation" else "boxes"
        notes.append(f"Masks are drawn from {drawn} ({targets.reason}).")
        notes += [targets.advice] if targets.advice else []
    notes += _category_notes(splits)
    for split in splits:
        notes += _defect_notes(split)
    return tuple(notes)


def _category_notes(splits: Sequence[Split]) -> list[str]:
    counts: Counter[str] = Counter()
    for split in splits:
        counts.update(split.annotations)
    named = [f"{printable(name, 60)} ({n})" for name, n in counts.most_common(_MOST_CATEGORIES)]
    if len(counts) > _MOST_CATEGORIES:
        named.append(f"{len(counts) - _MOST_CATEGORIES} more")
    chosen = splits[0].categories if splits else ()
    if chosen:
        counted = ", ".join(named) or "no annotations"
        return [f"Only the chosen categories are foreground: {counted}."]
    notes = []
    if len(counts) > 1:
        notes.append(
            f"{len(counts)} categories are merged into one foreground: {', '.join(named)}. "
            "--category chooses."
        )
    for name in counts:
        if name.strip("_ ").lower() in _BACKGROUND:
            notes.append(
                f"The category {printable(name, 60)} is foreground like the others; choose those "
                "without it by --category."
            )
    return notes


def _defect_notes(split: Split) -> list[str]:
    alike: dict[tuple[Action, str], list[Defect]] = {}
    for defect in split.defects:
        if defect.action in _TOLD:
            alike.setdefault((defect.action, defect.reason), []).append(defect)
    return [
        f"{split.name}: {reason}{f' ({len(defects)})' if len(defects) > 1 else ''}: {action}; "
        f"the first: {defects[0].place}."
        for (action, reason), defects in alike.items()
    ]
