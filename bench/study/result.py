"""The result of a study, and its JSON file."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.study.claims.claim import Claim
from bench.study.config import StudyConfig
from bench.study.evidence import Evidence, Hypothesis, Subject
from bench.study.variance import Variance
from runtime.core.errors import DataError
from runtime.core.json_files import read_json
from runtime.core.machine import Machine
from runtime.core.schema import from_dict
from runtime.data.audit import AuditSummary
from runtime.model.provider_choice import ProviderChoice
from runtime.model.sessions import Engine
from runtime.model.timing import PredictionLatency
from runtime.scoring.evaluation import Evaluation
from runtime.scoring.intervals import Interval
from train.history import EpochRow


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished training run.

    Attributes:
        name: of the run and of its exported file.
        checkpoint: path of the best one, relative to the study's folder.
        trained_parameters: number of parameters that took a gradient when the run ended.
        device: name of the processor that trained it; None in older results.
    """

    name: str
    checkpoint: str
    parameters: int
    trained_parameters: int
    history: tuple[EpochRow, ...]
    device: str | None = None


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
class NetworkRun:
    """A network on one split, trained with one seed.

    Attributes:
        trained: None for the ensemble, whose members were trained with this seed.
        evaluation: on the test images.
        engine: that computed the scores; None in old results, which are of the CPU provider.
        choice: how the provider "auto" came to it; None for another request.
    """

    seed: int
    trained: Trained | None
    file: Exported
    evaluation: Evaluation
    engine: Engine | None = None
    choice: ProviderChoice | None = None


@dataclass(frozen=True, slots=True)
class NetworkResult:
    """A network on one split.

    Attributes:
        runs: one for each seed.
        means: of each soft metric, over images and then over runs, with its interval.
        latency: measured once per network, with the first file of the first split.
    """

    network: str
    runs: tuple[NetworkRun, ...]
    means: dict[str, Interval]
    latency: PredictionLatency

    @property
    def first(self) -> NetworkRun:
        """The run with the first seed, whose file is timed and whose maps are shown."""
        return self.runs[0]

    @property
    def trained(self) -> bool:
        """False for the ensemble."""
        return self.first.trained is not None

    @property
    def evaluations(self) -> tuple[Evaluation, ...]:
        """The evaluation of each run."""
        return tuple(run.evaluation for run in self.runs)

    @property
    def histories(self) -> tuple[tuple[EpochRow, ...], ...]:
        """The history of each run; empty for the ensemble."""
        return tuple(run.trained.history for run in self.runs if run.trained is not None)


@dataclass(frozen=True, slots=True)
class SplitResult:
    """The results on one kind of split.

    Attributes:
        kind: "original" or "grouped".
        data_sha256: digest of the manifest of train, valid and test.
        images: number of images by split name.
        groups: the group of each test image.
        evidence: for each pair of networks, the later one minus the earlier.
        variance: what the uncertainty of each network, and of each difference, consists of.
    """

    kind: str
    data_sha256: str
    images: dict[str, int]
    groups: tuple[int, ...]
    networks: tuple[NetworkResult, ...]
    baselines: tuple[Evaluation, ...]
    evidence: tuple[Evidence, ...]
    hypotheses: tuple[Hypothesis, ...]
    variance: tuple[Variance, ...]

    def hypothesis(self, subject: Subject) -> Hypothesis | None:
        """Return the hypothesis on a subject, or None if the networks did not allow it."""
        return next((each for each in self.hypotheses if each.subject == subject), None)

    def network(self, name: str) -> NetworkResult:
        """Return the results of one network. Raises StopIteration if it was not studied."""
        return next(network for network in self.networks if network.network == name)

    def evaluations(self) -> list[tuple[str, tuple[Evaluation, ...]]]:
        """Return names and evaluations: of each network by training, then of each baseline.

        Those of a baseline, which needs no training, are repeated for each training.
        """
        count = len(self.networks[0].runs)
        networks = [(network.network, network.evaluations) for network in self.networks]
        return networks + [(each.name, (each,) * count) for each in self.baselines]

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
    """The mean soft IoU of a network or baseline on both splits, over images and then over runs.

    Attributes:
        network: name of the network or of the baseline.
        lost: original minus grouped; the bootstrap draws the two sets of images independently.
    """

    network: str
    original: float
    grouped: float
    lost: Interval


@dataclass(frozen=True, slots=True)
class Uncertified:
    """A training whose file differs from PyTorch, so that its network is not in the results.

    Attributes:
        network: its name, or the ensemble's.
        reason: what the comparison found.

    Example:
        >>> str(Uncertified("scratch", "grouped", 2, "found 2e-05"))
        'scratch, grouped, seed 2: no certificate: found 2e-05'
    """

    network: str
    kind: str
    seed: int
    reason: str

    def __str__(self) -> str:
        return f"{self.network}, {self.kind}, seed {self.seed}: no certificate: {self.reason}"


@dataclass(frozen=True, slots=True)
class StudyResult:
    """The result of a whole study.

    Attributes:
        data_name: name of the data set's folder.
        config: its networks are those of the results.
        commands: the command line of the study, then the equivalent commands step by step.
        audit, grouped_audit: of the original split, and of the grouped one if it was studied.
        claims: what the paper says, judged by this study; empty without its two networks.
        uncertified: why networks are not finished, and not in the results; the ensemble is not
            where one of its members is not.
    """

    data_name: str
    config: StudyConfig
    commands: tuple[str, ...]
    machine: Machine
    audit: AuditSummary
    grouped_audit: AuditSummary | None
    splits: tuple[SplitResult, ...]
    leaks: tuple[Leak, ...]
    claims: tuple[Claim, ...]
    uncertified: tuple[Uncertified, ...] = ()

    @property
    def unfinished(self) -> tuple[str, ...]:
        """The networks that are not in the results."""
        return tuple(dict.fromkeys(each.network for each in self.uncertified))

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
