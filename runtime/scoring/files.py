"""Evaluation of ONNX files on a data set, with baselines and comparisons."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from runtime.core.errors import SegmentationError
from runtime.core.progress import ProgressCallback
from runtime.core.settings import MaskChoice, MaskKind
from runtime.data.coco import Dataset, Split, read_dataset
from runtime.data.orientation import Size
from runtime.data.readable import Skipped, readable_part
from runtime.data.targets import target_notes
from runtime.model.onnx_file import OnnxFile
from runtime.model.predictor import Predictor, concurrency_for
from runtime.scoring.baselines import evaluate_baselines
from runtime.scoring.bootstrap import Bootstrap
from runtime.scoring.comparison import Comparison, compare
from runtime.scoring.evaluation import Evaluation, evaluate
from runtime.scoring.provenance import foreign_training, scored_targets
from runtime.scoring.results import EvaluationReport, scored_file

SIZES_NOTE = (
    "Files scored at different input sizes are not compared: their pixels differ. Give one size "
    "for all (--size, in Python size=)."
)


def evaluate_files(
    models: Sequence[str | Path],
    data: str | Path | Dataset,
    *,
    split: str = "test",
    masks: MaskChoice = "auto",
    categories: Sequence[str] = (),
    size: Size | None = None,
    batch_size: int = 1,
    baselines: bool = True,
    intensity: int | None = None,
    verify: bool = True,
    skip_unreadable: bool = False,
    threads: int | None = None,
    on_progress: ProgressCallback | None = None,
) -> EvaluationReport:
    """Score ONNX files and baselines on a split, and compare each pair of files.

    Confidence intervals draw groups of similar images if the data set states a group for each.
    The report tells what masks are drawn from and which annotations were dropped or clipped. It
    names files that were trained on other data than this data set's train and valid splits.
    Files of different input sizes are scored, but not compared, and the report says so.

    Args:
        models: paths of the files.
        data: the folder of a COCO data set, or the data set.
        split: name of the split to score on.
        masks: draw the target masks from "boxes" or "segmentation"; "auto" is what the files were
            trained on, or else what the split's annotations allow (`choose_targets`).
        categories: names of the categories that are foreground; by default those that the files
            were trained on, or all.
        size: (height, width) of the networks' input; by default as stated in each file.
        batch_size: images computed at once; the scores do not depend on it.
        baselines: score the baselines too, at each input size, if there is a split "train".
        intensity, verify: as for `Predictor`.
        skip_unreadable: skip images that cannot be read, instead of raising an error.
        threads: number of threads; by default the cores this process may use.
        on_progress: called after each image, with the phase "read test" (the split), "read train"
            or the name of the file that is scored.

    Raises:
        ModelError: a file cannot be run.
        ConfigError: a setting is out of range.
        DataError: the data set cannot be used, or no image can be read.
        ImageError, AnnotationError: an image cannot be read, without `skip_unreadable`.
    """
    dataset = data if isinstance(data, Dataset) else read_dataset(data)
    predictors = [
        Predictor(
            model,
            size=size,
            threads=threads,
            batch_size=batch_size,
            concurrency=concurrency_for(threads),
            intensity=intensity,
            verify=verify,
        )
        for model in models
    ]
    files = [predictor.file for predictor in predictors]
    dataset, targets = scored_targets(files, dataset, split, masks=masks, categories=categories)
    kind = targets.masks
    chosen = dataset.split(split, allow_missing=skip_unreadable)
    train = None
    if baselines and "train" in dataset.splits:
        train = dataset.split("train", allow_missing=skip_unreadable)
    skipped: tuple[Skipped, ...] = ()
    if skip_unreadable:
        chosen, train, skipped = _readable(chosen, train, predictors[0].size, kind, on_progress)
    sizes = dict.fromkeys(predictor.size for predictor in predictors) if train else ()
    # The baselines first: an image of train that cannot be read stops them before long work.
    scored_baselines = [
        baseline
        for each in sizes
        if train is not None
        for baseline in evaluate_baselines(train, chosen, each, masks=kind)
    ]
    evaluations = [evaluate(p, chosen, masks=kind, on_progress=on_progress) for p in predictors]
    pairs = zip(predictors, evaluations, strict=True)
    groups = _groups(chosen)
    return EvaluationReport(
        str(dataset.root),
        split,
        kind,
        models=tuple(scored_file(p.file, evaluation, p.size) for p, evaluation in pairs),
        baselines=tuple(scored_baselines),
        groups=groups,
        comparisons=_comparisons(evaluations, groups),
        warnings=(
            *target_notes([chosen], targets),
            *([SIZES_NOTE] if len({e.size for e in evaluations}) > 1 else []),
            *_provenance(files, dataset),
        ),
        skipped=skipped,
    )


def _readable(
    split: Split,
    train: Split | None,
    size: Size,
    masks: MaskKind,
    on_progress: ProgressCallback | None,
) -> tuple[Split, Split | None, tuple[Skipped, ...]]:
    """Return the readable parts of the splits, and the skipped images of both."""
    readable, skipped = readable_part(split, size, masks=masks, on_progress=on_progress)
    if train is None:
        return readable, None, skipped
    known, others = readable_part(train, size, masks=masks, on_progress=on_progress)
    return readable, known, (skipped + others if train.name != split.name else skipped)


def _groups(split: Split) -> tuple[int, ...]:
    """Return the group of each image; empty unless every image has one."""
    groups = tuple(sample.group for sample in split.samples if sample.group is not None)
    return groups if len(groups) == len(split.samples) else ()


def _comparisons(
    evaluations: Sequence[Evaluation], groups: tuple[int, ...]
) -> tuple[Comparison, ...]:
    """Return the comparison of each pair whose masks were drawn at one size."""
    bootstrap = Bootstrap(len(evaluations[0].samples), groups or None)
    return tuple(
        compare(first, second, bootstrap)
        for first, second in combinations(evaluations, 2)
        if first.size == second.size
    )


def _provenance(files: Sequence[OnnxFile], dataset: Dataset) -> tuple[str, ...]:
    """Return notes on the networks' training data: a note never ends an evaluation."""
    try:
        return foreign_training(files, dataset)
    except SegmentationError as error:
        return (f"It is unknown if the networks were trained on this data set: {error}",)
