"""What a file costs on this machine, beside what it scores: needs ONNX Runtime and onnx alone."""

from typing import TYPE_CHECKING

from runtime.core.lazy import lazily

if TYPE_CHECKING:
    from bench.measure.accuracy import Accuracy, read_accuracy
    from bench.measure.result import BenchResult, ModelResult, read_result, write_result
    from bench.measure.run import Measurement, Scoring, Settings
    from bench.measure.sampling import Latency, LatencyRatio, StoppingRule

__all__ = [
    "Accuracy",
    "BenchResult",
    "Latency",
    "LatencyRatio",
    "Measurement",
    "ModelResult",
    "Scoring",
    "Settings",
    "StoppingRule",
    "read_accuracy",
    "read_result",
    "write_result",
]

__getattr__ = lazily(
    __name__,
    {
        "bench.measure.accuracy": ("Accuracy", "read_accuracy"),
        "bench.measure.result": ("BenchResult", "ModelResult", "read_result", "write_result"),
        "bench.measure.run": ("Measurement", "Scoring", "Settings"),
        "bench.measure.sampling": ("Latency", "LatencyRatio", "StoppingRule"),
    },
)
