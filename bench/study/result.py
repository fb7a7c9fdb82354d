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
        name: of the run and of its exported file.
        checkpoint: path of the best one, relative to the study's folder.
        trained_parameters: number of parameters that took a gradient when the run ended.
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
        digest: of the graph and the weights.
        macs: multiply-accumulates for one image at the input size.
        max_difference: largest difference from PyTorch's probabilities in float64.
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
        means: mean of each soft metric over images, with its interval.
        latency: measured once per network, with the file of the first split.
    """

    network: str
    trained: Trained | None
    file: Exported
    evaluation: Evaluation
    means: dict[str, Interval]
    latency: PredictionLatency


@dataclass(frozen=True, slots=True)
class SplitResult:
    """The results on one kind of split.

    Attributes:
        kind: "original" or "grouped".
        data_sha256: digest of the manifest of train, valid and test.
        images: number of images by split name.
        groups: the group of each test image.
        evidence: for each pair of networks, the later one minus the earlier.
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
        """The number of groups of similar images among the test images."""
        return len(set(self.groups))

    @property
    def largest_group(self) -> int:
        """The number of test images in the largest group."""
        return max(Counter(self.groups).values())


@dataclass(frozen=True, slots=True)
class Leak:
    """The mean soft IoU of a network or baseline on both splits.

    Attributes:
        network: name of the network or of the baseline.
        lost: original minus grouped; the bootstrap draws the two sets of images independently.
    """

    network: str
    original: float
    grouped: float
    lost: Interval


@dataclass(frozen=True, slots=True)
class StudyResult:
    """The result of a whole study.

    Attributes:
        data_name: name of the data set's folder.
        commands: the command line of the study, then the equivalent commands step by step.
        audit, grouped_audit: of the original split, and of the grouped one if it was studied.
    """

    data_name: str
    config: StudyConfig
    commands: tuple[str, ...]
    machine: Machine
    audit: AuditSummary
    grouped_audit: AuditSummary | None
    splits: tuple[SplitResult, ...]
    leaks: tuple[Leak, ...]

    def split(self, kind: str) -> SplitResult | None:
        """Return the results on one split, or None if it was not studied."""
        return next((split for split in self.splits if split.kind == kind), None)


def read_study(path: str | Path) -> StudyResult:
    """Read a `study.json`.

    Raises:
        DataError: the file is missing or not the result of a study.
    """
    content = read_json(path, error=DataError)
    return from_dict(StudyResult, content, where=str(path), error=DataError)
