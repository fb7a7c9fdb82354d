"""Evaluation of ONNX files on a data set, with baselines and comparisons."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path

from runtime.core.errors import SegmentationError
from runtime.core.progress import ProgressCallback
from runtime.core.settings import MaskChoice, MaskKind
from runtime.data.coco import Dataset, Split, read_dataset
from runtime.data.orientation import Size
from runtime.data.readable import Skipped, readable_part
from runtime.data.targets import Targets, target_notes
from runtime.model.onnx_file import OnnxFile
from runtime.model.predictor import Predictor, concurrency_for
from runtime.model.providers import CPU, ProviderRequest
from runtime.scoring.baselines import evaluate_baselines
from runtime.scoring.bootstrap import Bootstrap
from runtime.scoring.clinical import clinical_notes
from runtime.scoring.clinical_config import ClinicalConfig
from runtime.scoring.comparison import Comparison, compare
from runtime.scoring.evaluation import Evaluation, evaluate
from runtime.scoring.patients import groups_of
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
    clinical: ClinicalConfig | None = None,
    intensity: int | None = None,
    verify: bool = True,
    skip_unreadable: bool = False,
    threads: int | None = None,
    provider: str | ProviderRequest = CPU,
    on_progress: ProgressCallback | None = None,
) -> EvaluationReport:
    """Score ONNX files and baselines on a split, and compare each pair of files.

    Confidence intervals draw groups of similar images, or else patients, where the data set states
    one for each image.
    The report states what masks are drawn from and which annotations were dropped or clipped. It
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
        clinical: the scores to add, which need SciPy; by default none.
        intensity, verify: as for `Predictor`.
        skip_unreadable: skip images that cannot be read, instead of raising an error.
        threads: number of threads; by default the cores this process may use.
        provider: that computes the networks, as for `Predictor`.
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
            provider=provider,
            intensity=intensity,
            verify=verify,
        )
        for model in models
    ]
    files = [predictor.file for predictor in predictors]
    dataset, targets = scored_targets(files, dataset, split, masks=masks, categories=categories)
    splits = _choose_splits(
        dataset, split, baselines, predictors[0].intensity, allow_missing=skip_unreadable
    )
    if skip_unreadable:
        splits = _readable(splits, predictors[0], targets.masks, on_progress)
    return _score(predictors, dataset, splits, targets, clinical, on_progress)


@dataclass(frozen=True, slots=True)
class _Splits:
    """The split that is scored, and the train split for the baselines, None without them.

    `skipped` lists the images of both that cannot be read and were removed.
    """

    scored: Split
    train: Split | None
    skipped: tuple[Skipped, ...] = ()


def _choose_splits(
    dataset: Dataset, name: str, baselines: bool, intensity: int | None, *, allow_missing: bool
) -> _Splits:
    """Return the split of this name, and the train split if there is one for the baselines."""

    def read(name: str) -> Split:
        return dataset.split(name, allow_missing=allow_missing).with_intensity(intensity)

    with_baselines = baselines and "train" in dataset.splits
    return _Splits(read(name), read("train") if with_baselines else None)


def _readable(
    splits: _Splits, predictor: Predictor, masks: MaskKind, on_progress: ProgressCallback | None
) -> _Splits:
    """Return the readable parts of the splits, at the input size of a network."""
    read = partial(
        readable_part,
        size=predictor.size,
        masks=masks,
        on_progress=on_progress,
    )
    scored, skipped = read(splits.scored)
    if splits.train is None or splits.train.name == splits.scored.name:
        return _Splits(scored, splits.train and scored, skipped)
    train, skipped_of_train = read(splits.train)
    return _Splits(scored, train, skipped + skipped_of_train)


def _score_baselines(
    splits: _Splits,
    predictors: Sequence[Predictor],
    masks: MaskKind,
    clinical: ClinicalConfig | None,
) -> tuple[Evaluation, ...]:
    """Return the baselines' scores at each input size; none without a train split."""
    if splits.train is None:
        return ()
    return tuple(
        baseline
        for size in dict.fromkeys(predictor.size for predictor in predictors)
        for baseline in evaluate_baselines(
            splits.train, splits.scored, size, masks=masks, clinical=clinical
        )
    )


def _score(
    predictors: Sequence[Predictor],
    dataset: Dataset,
    splits: _Splits,
    targets: Targets,
    clinical: ClinicalConfig | None,
    on_progress: ProgressCallback | None,
) -> EvaluationReport:
    """Score the baselines and the files, and compare each pair of files."""
    # The baselines first: an image of train that cannot be read stops them before long work.
    baselines = _score_baselines(splits, predictors, targets.masks, clinical)
    scored, masks = splits.scored, targets.masks
    evaluations = [
        evaluate(each, scored, masks=masks, clinical=clinical, on_progress=on_progress)
        for each in predictors
    ]
    groups = groups_of(scored.samples)
    return EvaluationReport(
        str(dataset.root),
        scored.name,
        masks,
        models=tuple(map(scored_file, predictors, evaluations)),
        baselines=baselines,
        groups=groups,
        comparisons=_comparisons(evaluations, groups),
        warnings=(
            *target_notes([scored], targets),
            *_size_note(evaluations),
            *clinical_notes(clinical, scored.samples, [e.size for e in evaluations], masks),
            *_provenance([predictor.file for predictor in predictors], dataset),
            *(f"{p.file.path.name}: {p.choice}." for p in predictors if p.choice is not None),
        ),
        skipped=splits.skipped,
    )


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


def _size_note(evaluations: Sequence[Evaluation]) -> tuple[str, ...]:
    """Return the note on files that are not compared, if there are any."""
    return (SIZES_NOTE,) if len({evaluation.size for evaluation in evaluations}) > 1 else ()


def _provenance(files: Sequence[OnnxFile], dataset: Dataset) -> tuple[str, ...]:
    """Return notes on the networks' training data: a note never ends an evaluation."""
    try:
        return foreign_training(files, dataset)
    except SegmentationError as error:
        return (f"It is unknown if the networks were trained on this data set: {error}",)
