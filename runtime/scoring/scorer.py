"""Opened networks and baselines, ready to score any images of a split."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.core.errors import AnnotationError
from runtime.core.machine import package_versions
from runtime.core.progress import ProgressCallback
from runtime.core.settings import LengthUnit, MaskKind
from runtime.data.readable import Skipped, readable_samples
from runtime.data.samples import Sample
from runtime.model.predictor import Predictor
from runtime.scoring.baselines import TrainingMasks, sum_baselines
from runtime.scoring.clinical_config import ClinicalConfig
from runtime.scoring.evaluation import sum_network
from runtime.scoring.parts import Part

SCORING_PACKAGES = ("seg-toolkit", "numpy", "onnxruntime", "pillow", "pycocotools")
"""The distributions whose version may change a score."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """Opened networks and baselines, ready to score any images.

    Attributes:
        split: name of the split that the images belong to.
        clinical, unit: the scores to add, and the unit of their lengths.
        train: what the baselines know, at each input size; empty without baselines.
        skip_unreadable: skip images that cannot be read, instead of raising an error.
    """

    predictors: tuple[Predictor, ...]
    split: str
    masks: MaskKind
    clinical: ClinicalConfig
    unit: LengthUnit
    train: tuple[TrainingMasks, ...]
    skip_unreadable: bool

    def part(
        self,
        samples: Sequence[Sample],
        start: int,
        images: int,
        identity: Mapping[str, str],
        on_progress: ProgressCallback | None = None,
    ) -> Part:
        """Return the sums over samples, the first of which is number `start` of all `images`.

        Raises:
            ImageError, AnnotationError: an image cannot be read, without `skip_unreadable`.
            ModelError: a network's output is not a probability map.
        """
        stop = start + len(samples)
        skipped: tuple[Skipped, ...] = ()
        if self.skip_unreadable:
            samples, skipped = self._readable(samples, on_progress)
        scores = self.clinical, self.unit
        # The baselines first: an image that cannot be read stops them before long work.
        baselines = [
            sums for known in self.train for sums in sum_baselines(known, samples, *scores)
        ]
        networks = [
            sum_network(each, samples, each.size, self.masks, *scores, on_progress=on_progress)
            for each in self.predictors
        ]
        return Part(
            identity=dict(identity),
            images=images,
            start=start,
            stop=stop,
            networks=tuple(networks),
            baselines=tuple(baselines),
            groups=tuple(sample.group for sample in samples),
            skipped=skipped,
        )

    def _readable(
        self, samples: Sequence[Sample], on_progress: ProgressCallback | None
    ) -> tuple[tuple[Sample, ...], tuple[Skipped, ...]]:
        size = self.predictors[0].size
        return readable_samples(
            samples, self.split, size, masks=self.masks, on_progress=on_progress
        )


def computed_with(predictors: Iterable[Predictor], lists: Iterable[Path]) -> dict[str, str]:
    """Return what else than settings decides on scores, by name.

    These are the networks and their engines, the COCO files, and the versions of packages.

    Raises:
        AnnotationError: a COCO file cannot be read.
    """
    found = {}
    for predictor in predictors:
        file, engine = predictor.file, predictor.engine
        found[f"the digest of {file.path}"] = file.digest
        text = f"{engine.provider} {engine.version}, {engine.arithmetic}"
        found[f"the engine of {file.path}"] = text
    found |= {f"the SHA-256 of {path}": _sha256(path) for path in lists}
    versions = package_versions(SCORING_PACKAGES)
    return found | {f"the version of {name}": version for name, version in versions.items()}


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise AnnotationError(f"{path}: cannot be read: {reason}") from error
