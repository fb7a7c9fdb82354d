"""The settings of a measurement."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.measure.accuracy import Accuracy
from runtime.core.settings import MaskChoice
from runtime.data.orientation import Size
from runtime.model.providers import ProviderRequest
from runtime.model.stopping_rule import StoppingRule


@dataclass(frozen=True, slots=True)
class Scoring:
    """The split that accuracy is measured on.

    Attributes:
        data: folder of the data set.
        split: name of the split.
        masks: "boxes" or "segmentation", from which the target masks are drawn; "auto" is what
            each file was trained on (`runtime.scoring.provenance.scored_targets`).
        categories: names of the categories that are foreground; by default those that each file
            was trained on.
        size: (height, width) at which masks and probabilities are compared; by default the input
            size of each network.
    """

    data: str
    split: str = "test"
    masks: MaskChoice = "auto"
    size: Size | None = None
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MeasurementSettings:
    """The settings of a measurement.

    Attributes:
        threads: number of threads of ONNX Runtime and of the matrix product.
        size: (height, width) of the input; by default as stated in each file.
        batch_sizes: batch sizes of the offline scenario.
        rule: when a latency is precise enough. Larger batches get half of its seconds.
        startups: how often the start-up of each file is timed.
        stage_runs: number of images whose stages are timed.
        limit_s: longest wait for an answer of a file's process, in seconds.
        scoring: the split to score on; None for no accuracy beyond `known`.
        known: accuracies by the digest of the file, provider and arithmetic, which are taken as
            they are.
        providers: that each file is measured on.
        intensity, verify: as for `runtime.model.predictor.Predictor`.
    """

    threads: int
    size: Size | None = None
    batch_sizes: tuple[int, ...] = (8,)
    rule: StoppingRule = field(default_factory=StoppingRule)
    startups: int = 3
    stage_runs: int = 10
    limit_s: float = 300.0
    scoring: Scoring | None = None
    known: Mapping[tuple[str, str, str], Accuracy] = field(default_factory=dict)
    providers: tuple[ProviderRequest, ...] = field(default_factory=lambda: (ProviderRequest(),))
    intensity: int | None = None
    verify: bool = True
