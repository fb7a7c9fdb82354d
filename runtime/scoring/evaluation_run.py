"""An evaluation of which any images can be scored: at once, in shards, here or elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from runtime.core.errors import ConfigError, SegmentationError
from runtime.core.progress import ProgressCallback
from runtime.core.settings import MaskChoice, Resize
from runtime.data.coco import Dataset, read_dataset
from runtime.data.orientation import Size
from runtime.data.readable import Skipped, readable_part
from runtime.data.split import Split
from runtime.data.targets import Targets, target_notes
from runtime.model.onnx_file import OnnxFile
from runtime.model.predictor import Predictor, concurrency_for
from runtime.model.providers import CPU, ProviderRequest
from runtime.scoring.baselines import training_masks
from runtime.scoring.clinical import clinical_notes, unit_of
from runtime.scoring.clinical_config import ClinicalConfig
from runtime.scoring.parts import Heading, Part, shard_range, uncut
from runtime.scoring.provenance import foreign_training, scored_targets
from runtime.scoring.results import file_facts
from runtime.scoring.scorer import Scorer, computed_with

SIZES_NOTE = (
    "Files scored at different input sizes are not compared: their pixels differ. Give one size "
    "for all (--size, in Python size=)."
)


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """The settings of an evaluation; see the arguments of `evaluate_files`."""

    split: str = "test"
    masks: MaskChoice = "auto"
    categories: tuple[str, ...] = ()
    size: Size | None = None
    resize: Resize | None = None
    batch_size: int = 1
    baselines: bool = True
    clinical: ClinicalConfig = field(default_factory=ClinicalConfig)
    intensity: int | None = None
    verify: bool = True
    skip_unreadable: bool = False
    threads: int | None = None
    provider: str | ProviderRequest = CPU


@dataclass(frozen=True, slots=True)
class EvaluationRun:
    """Opened networks and a split that was read, of which any images can be scored.

    Attributes:
        dataset: with the categories to score on.
        identity: everything that the scores depend on, by name.
        skipped: the images of the train split that cannot be read, for the baselines.
    """

    scorer: Scorer
    dataset: Dataset
    split: Split
    targets: Targets
    identity: dict[str, str]
    skipped: tuple[Skipped, ...]

    @property
    def images(self) -> int:
        """The number of images of the split."""
        return len(self.split.samples)

    @property
    def scores_volumes(self) -> bool:
        """True if outlines or lesions of whole volumes are asked for."""
        clinical = self.scorer.clinical
        asked = clinical.surface or clinical.lesions
        return asked and any(sample.slice is not None for sample in self.split.samples)

    def shard(self, number: int, shards: int) -> tuple[int, int]:
        """Return start and stop of a shard, numbered from 1; no volume is cut that is scored."""
        start, stop = shard_range(number, shards, self.images)
        if not self.scores_volumes:
            return start, stop
        return uncut(self.split.samples, start), uncut(self.split.samples, stop)

    def part(self, start: int, stop: int, on_progress: ProgressCallback | None = None) -> Part:
        """Return the sums over the images from `start` to `stop`, exclusively.

        Raises:
            ConfigError: a volume is cut that is scored as a whole.
            ImageError, AnnotationError: an image cannot be read, and should not be skipped.
            ModelError: a network's output is not a probability map.
        """
        samples = self.split.samples[start:stop]
        if self.scores_volumes and any(uncut(self.split.samples, n) != n for n in (start, stop)):
            raise ConfigError(f"images {start} to {stop} cut a volume that is scored as a whole")
        part = self.scorer.part(samples, start, self.images, self.identity, on_progress)
        return part if start else replace(part, heading=self.heading())

    def heading(self) -> Heading:
        """Return what the report states besides scores."""
        scorer = self.scorer
        return Heading(
            data=str(self.dataset.root),
            annotation_file=str(self.split.annotation_file),
            split=self.split.name,
            masks=scorer.masks,
            clinical=scorer.clinical,
            unit=scorer.unit,
            models=tuple(map(file_facts, scorer.predictors)),
            warnings=self._warnings(),
            skipped=self.skipped,
        )

    def _warnings(self) -> tuple[str, ...]:
        predictors, samples = self.scorer.predictors, self.split.samples
        sizes = list(dict.fromkeys(predictor.size for predictor in predictors))
        return (
            *target_notes([self.split], self.targets),
            *([SIZES_NOTE] if len(sizes) > 1 else []),
            *clinical_notes(self.scorer.clinical, samples, sizes, self.scorer.masks),
            *_provenance([predictor.file for predictor in predictors], self.dataset),
            *(f"{p.file.path.name}: {p.choice}." for p in predictors if p.choice is not None),
        )


def open_evaluation(
    models: Sequence[str | Path],
    data: str | Path | Dataset,
    settings: EvaluationSettings,
    on_progress: ProgressCallback | None = None,
) -> EvaluationRun:
    """Open networks and read a split; arguments and errors are those of `evaluate_files`.

    For baselines, the images of the train split are decoded.
    """
    predictors = open_predictors(models, settings)
    dataset, targets = scored_targets(
        [predictor.file for predictor in predictors],
        data if isinstance(data, Dataset) else read_dataset(data),
        settings.split,
        masks=settings.masks,
        categories=settings.categories,
    )
    level, skip = predictors[0].intensity, settings.skip_unreadable
    split = dataset.split(settings.split, allow_missing=skip).with_intensity(level)
    train: Split | None = None
    skipped: tuple[Skipped, ...] = ()
    if settings.baselines and "train" in dataset.splits:
        train = dataset.split("train", allow_missing=skip).with_intensity(level)
    if train is not None and skip:
        size = predictors[0].size
        train, skipped = readable_part(train, size, masks=targets.masks, on_progress=on_progress)
    sizes = tuple(dict.fromkeys(predictor.size for predictor in predictors))
    scorer = Scorer(
        predictors=predictors,
        split=split.name,
        masks=targets.masks,
        clinical=settings.clinical,
        unit=unit_of(split.samples),
        train=() if train is None else training_masks(train.samples, sizes, targets.masks),
        skip_unreadable=skip,
    )
    identity = {
        **_settings_text(settings, scorer, dataset.categories),
        "the number of images": str(len(split.samples)),
        **computed_with(predictors, (one.annotation_file for one in (split, train) if one)),
    }
    # The parts list those of the split itself.
    skipped = tuple(image for image in skipped if image.split != split.name)
    return EvaluationRun(scorer, dataset, split, targets, identity, skipped)


def open_predictors(
    models: Sequence[str | Path], settings: EvaluationSettings
) -> tuple[Predictor, ...]:
    """Open the networks for many images. Raises ModelError, ConfigError, ProviderError."""
    return tuple(
        Predictor(
            model,
            size=settings.size,
            threads=settings.threads,
            batch_size=settings.batch_size,
            concurrency=concurrency_for(settings.threads),
            provider=settings.provider,
            intensity=settings.intensity,
            resize=settings.resize,
            verify=settings.verify,
        )
        for model in models
    )


def _settings_text(
    settings: EvaluationSettings, scorer: Scorer, categories: Sequence[str]
) -> dict[str, str]:
    """Return the settings that decide on scores, by name."""
    clinical = scorer.clinical
    sizes = (f"{height}x{width}" for height, width in (each.size for each in scorer.predictors))
    return {
        "--split": settings.split,
        "--masks": scorer.masks,
        "--category": ", ".join(categories) or "all",
        "--size": ", ".join(sizes),
        "--resize": ", ".join(each.framing.resize for each in scorer.predictors),
        "--intensity": str(settings.intensity or "as stated"),
        "--baselines": "on" if settings.baselines else "off",
        "--surface": f"tolerance {clinical.tolerance:g}" if clinical.surface else "off",
        "--lesions": f"from {clinical.smallest_lesion:g}" if clinical.lesions else "off",
        "--on-error": "skip" if settings.skip_unreadable else "stop",
    }


def _provenance(files: Sequence[OnnxFile], dataset: Dataset) -> tuple[str, ...]:
    """Return notes on the networks' training data: a note never ends an evaluation."""
    try:
        return foreign_training(files, dataset)
    except SegmentationError as error:
        return (f"It is unknown if the networks were trained on this data set: {error}",)
