"""The result of a study, and its JSON file."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.study.config import StudyConfig
from bench.study.evidence import Evidence, Hypothesis
from runtime.core.errors import DataError
from runtime.core.json_files import read_json
from runtime.core.machine import Machine
from runtime.core.schema import from_dict
from runtime.data.audit import AuditSummary
from runtime.model.timing import PredictionLatency
from runtime.scoring.bootstrap import Interval
from runtime.scoring.evaluation import Evaluation
from train.history import EpochRow


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished training run.

    Attributes:
        checkpoint: the best one, relative to the study's folder.
        name: of the run and of the file that it is exported to.
        trained_parameters: those that took a gradient when the run ended.
    """

    name: str
    checkpoint: str
    parameters: int
    trained_parameters: int
    history: tuple[EpochRow, ...]


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported file.

    Attributes:
        path: relative to the study's folder.
        digest: of its graph and weights.
        macs: of one image at the input's size.
        max_difference: the largest to PyTorch's probabilities in float64.
    """

    path: str
    digest: str
    parameters: int
    macs: int
    file_bytes: int
    max_difference: float


@dataclass(frozen=True, slots=True)
class NetworkResult:
    """A network on one split.

    Attributes:
        trained: None for the ensemble.
        evaluation: on the test images.
        means: each of the study's soft metrics, mean over images, with its interval.
        latency: measured once a network, on the first split's file.
    """

    network: str
    trained: Trained | None
    file: Exported
    evaluation: Evaluation
    means: dict[str, Interval]
    latency: PredictionLatency


@dataclass(frozen=True, slots=True)
class SplitResult:
    """Everything about one way to split the data.

    Attributes:
        kind: "original" or "grouped".
        data_sha256: over the manifest of all its splits.
        images: images a split.
        groups: the group of each test image.
        evidence: each pair of networks, the later one minus the earlier.
    """

    kind: str
    data_sha256: str
    images: dict[str, int]
    groups: tuple[int, ...]
    networks: tuple[NetworkResult, ...]
    baselines: tuple[Evaluation, ...]
    evidence: tuple[Evidence, ...]
    hypotheses: tuple[Hypothesis, ...]

    @property
    def group_count(self) -> int:
        """How many groups of similar images the test images fall into."""
        return len(set(self.groups))

    @property
    def largest_group(self) -> int:
        """How many test images the largest group has."""
        return max(Counter(self.groups).values())


@dataclass(frozen=True, slots=True)
class Leak:
    """How much of a soft IoU, mean over images, goes away with the grouped split.

    Attributes:
        network: or the name of a baseline.
        lost: original minus grouped; the two sets of test images are drawn independently.
    """

    network: str
    original: float
    grouped: float
    lost: Interval


@dataclass(frozen=True, slots=True)
class StudyResult:
    """The whole study.

    Attributes:
        data_name: of the data set's folder.
        commands: what was called, and what does the same step by step.
        audit, grouped_audit: of the data set's own split, and of the grouped one.
    """

    data_name: str
    config: StudyConfig
    commands: tuple[str, ...]
    machine: Machine
    audit: AuditSummary
    grouped_audit: AuditSummary
    splits: tuple[SplitResult, ...]
    leaks: tuple[Leak, ...]

    def split(self, kind: str) -> SplitResult | None:
        """Return the results on one split, or None where the study left it out."""
        return next((split for split in self.splits if split.kind == kind), None)


def read_study(path: str | Path) -> StudyResult:
    """Read a `study.json`.

    Raises:
        DataError: the file is missing or not the result of a study.
    """
    content = read_json(path, error=DataError)
    return from_dict(StudyResult, content, where=str(path), error=DataError)
