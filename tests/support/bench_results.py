"""Results of `seg-bench` with a few known figures."""

from itertools import combinations

from bench.measure.accuracy import Accuracy
from bench.measure.latency import Latency, LatencyRatio
from bench.measure.result import BenchResult, ModelResult
from bench.medians import Verdict
from runtime.core.machine import Machine
from runtime.model.stopping_rule import StoppingRule

Figures = tuple[int | None, int | None, int | None]


def bench_result(models: list[Figures], verdict: Verdict = "not ranked") -> BenchResult:
    """Return files named "0", "1", ... with the same verdict for every pair.

    Args:
        models: soft IoU in tenths, latency in ms and peak memory in MB of each file; None where it
            is unknown.
    """
    rows = tuple(
        ModelResult(
            path=str(number),
            macs=1,
            file_bytes=1,
            latency_ms=_latency(latency) if latency else None,
            memory_bytes={"peak": memory * 10**6} if memory else None,
            accuracy=_accuracy(iou / 10) if iou else None,
        )
        for number, (iou, latency, memory) in enumerate(models)
    )
    machine = Machine("s", "p", (), 1, 0, {})
    rankings = tuple(
        LatencyRatio(first.path, second.path, 1.0, 0.9, 1.1, 9, verdict)
        for first, second in combinations(rows, 2)
    )
    return BenchResult(machine, rows, "", 1, StoppingRule(), None, True, rankings)


def _latency(ms: float) -> Latency:
    return Latency(ms, ms, ms, ms, 9, ms, ms)


def _accuracy(iou: float) -> Accuracy:
    return Accuracy(
        data="d",
        split="test",
        masks="boxes",
        size=(8, 8),
        images=1,
        groups=1,
        accuracy=1.0,
        recall=1.0,
        precision=1.0,
        iou=iou,
        iou_low=iou,
        iou_high=iou,
        pooled_iou=iou,
        iou_at_half=iou,
    )
