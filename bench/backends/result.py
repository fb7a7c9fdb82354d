"""The result of a comparison of backends."""

from dataclasses import dataclass
from typing import Literal

from runtime.core.machine import Machine
from runtime.scoring.intervals import Interval

BackendVerdict = Literal["reference", "faster", "slower", "not ranked"]


@dataclass(frozen=True, slots=True)
class BackendResult:
    """The result of one backend.

    Attributes:
        name: name of the backend, or of a variant's file.
        digest: SHA-256 of the ONNX file that it was given.
        versions: versions of its packages, by distribution.
        reason: why it was not compared, or not to the end; "" if it was.
        difference: largest absolute difference of its probabilities from ONNX Runtime's on the same
            inputs; NaN if it returned none.
        seconds: raw samples, one for each round until it failed, if it did. There are none if
            `difference` exceeds the tolerance.
        latency_ms: median latency with its 95 % interval.
        ratio: median over rounds of its time divided by ONNX Runtime's in the same round, with its
            99 % interval. Below 1 is faster.
        verdict: "not ranked" if the interval contains 1, if there are too few rounds, or if there
            is a reason.
    """

    name: str
    digest: str
    versions: dict[str, str]
    reason: str
    difference: float
    seconds: tuple[float, ...]
    latency_ms: Interval
    ratio: Interval
    verdict: BackendVerdict


@dataclass(frozen=True, slots=True)
class BackendComparison:
    """Backends of one network, timed interleaved at batch 1.

    Attributes:
        path: path of the ONNX file.
        digest: SHA-256 of the file.
        height, width: input size in pixels.
        threads: number of threads of each backend.
        tolerance: largest difference of a probability with which a backend is timed.
        rounds: rounds in which every backend ran once, without the warm-up.
        interrupted: whether it was stopped before its limits were reached.
        machine: the machine that it ran on.
        backends: one result each, in the order of the request.
    """

    path: str
    digest: str
    height: int
    width: int
    threads: int
    tolerance: float
    rounds: int
    interrupted: bool
    machine: Machine
    backends: tuple[BackendResult, ...]
