"""What a comparison of backends found."""

from dataclasses import dataclass
from typing import Literal

from runtime.core.machine import Machine
from runtime.scoring.bootstrap import Interval

BackendVerdict = Literal["reference", "faster", "slower", "not ranked"]


@dataclass(frozen=True, slots=True)
class BackendResult:
    """One backend.

    Attributes:
        digest: SHA-256 of the ONNX file that it was given.
        versions: of the packages behind it, by distribution.
        reason: why it has no place in the comparison, in words; "" where it has one.
        difference: the largest absolute difference of its probabilities to those of ONNX Runtime
            on the same inputs; NaN where it gave none.
        seconds: raw samples, one a round from the first on, until it failed if it did. None are
            taken of a backend whose difference is beyond the tolerance.
        latency_ms: median and its 95 % interval.
        ratio: median over rounds of its time divided by that of ONNX Runtime in the same round,
            with its 99 % interval; below 1 is faster.
        verdict: "not ranked" where the run is too noisy, or too short, to tell, and where there is
            a reason.
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
class BackendsResult:
    """Backends of one network, timed in turn at batch 1.

    Attributes:
        path: the ONNX file's.
        digest: SHA-256 of the file.
        height, width: of the input.
        threads: of each backend.
        tolerance: the largest difference of a probability with which a time counts.
        rounds: in which every backend ran once, after the warm-up.
        interrupted: stopped before the limits were reached.
        backends: in the order they were asked for.
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
