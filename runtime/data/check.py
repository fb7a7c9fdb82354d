"""Checking a data set: every defect of its COCO files, images and masks."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runtime.core.errors import AnnotationError, DataError, DataWarning, ImageError, printable
from runtime.core.progress import Progress, ProgressCallback
from runtime.core.settings import MaskChoice, MaskKind
from runtime.data.coco import Dataset
from runtime.data.defects import Action, Defect
from runtime.data.layouts import is_file
from runtime.data.samples import Sample
from runtime.data.segmentations import pixels_outside
from runtime.data.split import Split
from runtime.data.targets import choose_targets, target_notes, training_splits

_DECODED = (64, 64)
_ROUNDING = 0.5
"""Pixels that a polygon may reach outside the image: Roboflow rounds coordinates."""


@dataclass(frozen=True, slots=True)
class SplitSummary:
    """Counts and means of one split.

    Attributes:
        images, annotations: how many there are.
        foreground_share: mean share of an image's area that its mask covers, in [0, 1]; NaN
            without images.
        annotated_area: mean area of an annotation's box, in pixels; NaN without annotations.
        categories: number of annotations by category.
    """

    name: str
    images: int
    annotations: int
    foreground_share: float
    annotated_area: float
    categories: dict[str, int]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of `check_dataset`.

    Attributes:
        masks: what the foreground is drawn from.
        notes: what every command says about these splits (`runtime.data.targets`).
        not_ready: why no network can be trained on the data set; None where one can.
    """

    root: Path
    splits: tuple[SplitSummary, ...]
    defects: tuple[Defect, ...]
    masks: MaskKind
    notes: tuple[str, ...]
    not_ready: str | None

    @property
    def usable(self) -> bool:
        """True where every split can be used for training and evaluation."""
        return not any(defect.fatal for defect in self.defects)


@dataclass(frozen=True, slots=True)
class DefectGroup:
    """Defects of one kind, with one action; at least one."""

    kind: str
    defects: tuple[Defect, ...]


def group_defects(defects: Sequence[Defect]) -> tuple[DefectGroup, ...]:
    """Return the defects by kind, in the order of the first of each kind.

    Example:
        >>> defects = [
        ...     Defect("train", f"{n}.png", None, f"a box {n} pixels outside", Action.CLIPPED,
        ...            reason="a box outside the image")
        ...     for n in (3, 5)
        ... ]
        >>> [(group.kind, len(group.defects)) for group in group_defects(defects)]
        [('a box outside the image', 2)]
    """
    groups: dict[tuple[str, Action], list[Defect]] = {}
    for defect in defects:
        groups.setdefault((defect.reason or defect.problem, defect.action), []).append(defect)
    return tuple(DefectGroup(kind, tuple(found)) for (kind, _), found in groups.items())


def check_dataset(
    dataset: Dataset,
    *,
    masks: MaskChoice = "auto",
    on_progress: ProgressCallback | None = None,
) -> CheckReport:
    """Decode every image of a data set, rasterize its masks, and report all defects.

    Args:
        masks: what the foreground is drawn from; "auto" is that of a training.
        on_progress: called after each image, with numbers of images.

    Raises:
        AnnotationError: a COCO file is not one.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from runtime.data.coco import read_dataset
        >>> from runtime.data.phantom import PhantomConfig, make_phantom
        >>> with TemporaryDirectory() as folder:
        ...     config = PhantomConfig(train=2, valid=1, test=1, slices=1, size=32)
        ...     report = check_dataset(read_dataset(make_phantom(folder, config)))
        >>> report.usable, [(split.name, split.images) for split in report.splits]
        (True, [('train', 2), ('valid', 1), ('test', 1)])
        >>> report.masks, report.not_ready
        ('segmentation', None)
    """
    splits = [split.only(dataset.categories) for split in dataset.splits.values()]
    trained_on = [split for split in splits if split.name in ("train", "valid")]
    targets = choose_targets(masks, trained_on if len(trained_on) == 2 else splits)
    total = sum(len(split.samples) for split in splits)
    defects: list[Defect] = []
    summaries: list[SplitSummary] = []
    done = 0
    for split in splits:
        defects.extend(split.defects)
        # A data set without any segmentation has only boxes, which is not a defect.
        outlined = any(a.segmentation for sample in split.samples for a in sample.annotations)
        for sample in split.samples:
            defects.extend(_image_defects(split, sample, outlined, targets.masks))
            done += 1
            if on_progress is not None:
                on_progress(Progress(done, total))
        summaries.append(_summary(split, targets.masks))
    defects.extend(_shared_files(splits))
    return CheckReport(
        root=dataset.root,
        splits=tuple(summaries),
        defects=tuple(defects),
        masks=targets.masks,
        notes=(*target_notes(splits, targets), *_empty_notes(dataset.splits.values())),
        not_ready=_not_ready(dataset, defects),
    )


def _empty_notes(splits: Iterable[Split]) -> Iterator[str]:
    """Yield a question for each split with images that have no annotation of any category."""
    for split in splits:
        if split.empty_masks:
            continue
        empty = [sample.file_name for sample in split.samples if not sample.annotations]
        if empty:
            some = "1 image has" if len(empty) == 1 else f"{len(empty)} images have"
            yield (
                f"{split.name}: {some} no annotation; the first: {printable(empty[0], 60)}. Is "
                "nothing there, or is the annotation missing? `train-unet --empty drop` skips "
                "such images."
            )


def _not_ready(dataset: Dataset, defects: Sequence[Defect]) -> str | None:
    """Return why no network can be trained on a data set; None where one can.

    Where a split is lacking, the first defect that would then stop a training is told as well.
    """
    lacking = [name for name in ("train", "valid") if name not in dataset.splits]
    fatal = [d for d in defects if d.fatal and (lacking or d.split in ("train", "valid"))]
    also = f"{fatal[0].split}: {fatal[0]}" if fatal else None
    try:
        for name in lacking:
            dataset.split(name)  # raises
        training_splits(dataset)
    except DataError as error:
        known = also is None or fatal[0].problem in str(error)
        return str(error) if known else f"{error}; and {also}"
    return also


def _shared_files(splits: Sequence[Split]) -> list[Defect]:
    """Return a defect for each image that an earlier split has too."""
    owners: dict[Path, str] = {}
    defects = []
    for split in splits:
        for sample in split.samples:
            owner = owners.setdefault(sample.path, split.name)
            if owner != split.name:
                problem = f"the same file is in the split {owner!r}"
                defects.append(
                    Defect(split.name, sample.file_name, None, problem, Action.USED, reason=problem)
                )
    return defects


def _image_defects(split: Split, sample: Sample, outlined: bool, masks: MaskKind) -> list[Defect]:
    if not is_file(sample.path):
        return []  # the reader of the COCO file has reported it
    defects: list[Defect] = []

    def note(problem: str, action: Action, annotation: str | None = None) -> None:
        # The path is named beside the problem.
        kind = problem.removeprefix(f"{sample.path}: ")
        defects.append(Defect(split.name, sample.file_name, annotation, kind, action, reason=kind))

    original = (sample.height, sample.width)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DataWarning)
            height, width = sample.load(_DECODED).original_size
    except ImageError as error:
        note(str(error), Action.REFUSED)
        return defects
    for warning in caught:
        note(str(warning.message), Action.USED)
    if (height, width) != original:
        stated = f"{width}x{height} pixels where the COCO file says {sample.width}x{sample.height}"
        note(stated, Action.USED_WITH_SCALED_BOXES)
    if not outlined and masks == "boxes":
        return defects
    try:
        # At full size, where the perimeters of the polygons are largest.
        sample.mask(original, "segmentation")
    except AnnotationError as error:
        unusable = Action.USED_FOR_BOXES if masks == "boxes" else Action.REFUSED
        found: list[tuple[str, str | None]] = [*_unusable(sample)]
        for problem, annotation in found or [(str(error), None)]:
            note(problem, unusable, annotation)
    else:
        outside = pixels_outside((a.segmentation for a in sample.annotations), original)
        if outside > _ROUNDING:
            note(f"a polygon up to {outside:g} pixels outside the image", Action.CLIPPED)
    return defects


def _unusable(sample: Sample) -> Iterator[tuple[str, str]]:
    """Yield the problem and the identity of each annotation that gives no mask by itself."""
    for annotation in sample.annotations:
        identity = printable(annotation.id, 40)
        try:
            alone = replace(sample, annotations=(annotation,))
            alone.mask((sample.height, sample.width), "segmentation")
        except AnnotationError as error:
            where = f"{sample.path}, annotation {identity}: "
            yield str(error).removeprefix(where), identity


def _summary(split: Split, masks: MaskKind) -> SplitSummary:
    shares = []
    for sample in split.samples:
        try:
            shares.append(float(sample.mask((sample.height, sample.width), masks).mean()))
        except AnnotationError:  # reported as a defect
            continue
    areas = [a.box[2] * a.box[3] for s in split.samples for a in s.annotations]
    return SplitSummary(
        name=split.name,
        images=len(split.samples),
        annotations=len(areas),
        foreground_share=sum(shares) / len(shares) if shares else float("nan"),
        annotated_area=sum(areas) / len(areas) if areas else float("nan"),
        categories=split.annotations,
    )
