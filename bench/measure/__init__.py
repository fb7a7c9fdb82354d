"""Accuracy and cost of ONNX files on this machine; needs ONNX Runtime and onnx, but no torch."""

from typing import TYPE_CHECKING

from runtime.core.lazy import lazy_imports

if TYPE_CHECKING:
    from bench.measure.accuracy import Accuracy as Accuracy, read_accuracy as read_accuracy
    from bench.measure.latency import Latency as Latency, LatencyRatio as LatencyRatio
    from bench.measure.result import (
        BenchResult as BenchResult,
        ModelResult as ModelResult,
        read_result as read_result,
        write_result as write_result,
    )
    from bench.measure.run import Measurement as Measurement
    from bench.measure.settings import (
        MeasurementSettings as MeasurementSettings,
        Scoring as Scoring,
    )
    from runtime.model.stopping_rule import StoppingRule as StoppingRule

__getattr__, __dir__ = lazy_imports(__name__)
