"""Results of `seg-bench backends` with known figures."""

import dataclasses
import math
from typing import Any

from bench.backends.result import BackendComparison, BackendResult
from runtime.core.machine import Machine
from runtime.scoring.intervals import Interval

NAN = math.nan
UNDEFINED = Interval(NAN, NAN, NAN)


def _row(name: str, **values: Any) -> BackendResult:
    settings: dict[str, Any] = {
        "name": name,
        "digest": "ab" * 32,
        "versions": {name: "1.2"},
        "reason": "",
        "difference": 2.5e-6,
        "seconds": (0.002, 0.004),
        "latency_ms": Interval(3.0, 2.0, 4.0),
        "ratio": Interval(1.5, 1.25, 1.75),
        "verdict": "slower",
    }
    return BackendResult(**{**settings, **values})


def backend_comparison() -> BackendComparison:
    """Return backends of every kind: slow, reference, not ranked, wrong, and unable to run."""
    machine = Machine("Linux", "Processor", ("avx2",), 2, 1 << 30, {"python": "3.11.7"})
    reference = _row("onnxruntime", difference=0.0, ratio=Interval(1.0, 1.0, 1.0))
    absent = {"seconds": (), "latency_ms": UNDEFINED, "ratio": UNDEFINED, "verdict": "not ranked"}
    return BackendComparison(
        path="folder/network.onnx",
        digest="ab" * 32,
        height=32,
        width=48,
        threads=2,
        tolerance=1e-3,
        rounds=8,
        interrupted=False,
        machine=machine,
        backends=(
            _row(
                "wrong", reason="probabilities differ by more than 0.001", difference=0.2, **absent
            ),
            _row("slow", digest="cd" * 32),
            dataclasses.replace(reference, verdict="reference"),
            _row("short", ratio=Interval(0.9, NAN, NAN), verdict="not ranked"),
            _row("none", reason="no|pipe", versions={}, difference=NAN, **absent),
        ),
    )
