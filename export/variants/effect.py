"""What a conversion changes: soft IoU on a split, and the time of a prediction."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import onnx

from runtime.core.machine import describe_machine
from runtime.data.coco import Split
from runtime.data.images import Size
from runtime.data.samples import MaskKind
from runtime.model.metadata import Timing
from runtime.model.onnx_file import read_onnx
from runtime.model.predictor import Predictor, concurrency_for
from runtime.model.timing import measure_latency
from runtime.scoring.evaluation import evaluate

_RUNS = 20


@dataclass(frozen=True, slots=True)
class Effect:
    """Of a graph against the plain one.

    Attributes:
        plain_digest, plain_bytes: of a file of the plain graph without metadata.
        soft_iou_before, soft_iou_after: pooled, of the plain graph and of the other.
    """

    plain_digest: str
    plain_bytes: int
    soft_iou_before: float
    soft_iou_after: float
    timing: Timing

    @property
    def fall(self) -> float:
        """How much soft IoU falls; negative where it rises."""
        return self.soft_iou_before - self.soft_iou_after


class EffectMeter:
    """Compares graphs with the plain one, whose scores are taken once.

    Args:
        split: what soft IoU is taken on.
        size: (height, width) of the networks' input.
    """

    def __init__(
        self, plain: onnx.ModelProto, split: Split, size: Size, masks: MaskKind, threads: int
    ) -> None:
        self._plain = plain
        self._split = split
        self._size = size
        self._masks: MaskKind = masks
        self._threads = threads
        self._before: float | None = None

    def measure(self, model: onnx.ModelProto) -> Effect:
        """Score both graphs as the runtime does, and time them in turn."""
        with tempfile.TemporaryDirectory() as folder:
            before, after = Path(folder) / "before.onnx", Path(folder) / "after.onnx"
            before.write_bytes(self._plain.SerializeToString())
            after.write_bytes(model.SerializeToString())
            if self._before is None:
                self._before = self._soft_iou(before)
            soft_iou = self._soft_iou(after)
            timed = [self._predictor(path) for path in (before, after)]
            plain, other = measure_latency(timed, runs=_RUNS)
            file = read_onnx(before)
        machine = describe_machine()
        return Effect(
            plain_digest=file.digest,
            plain_bytes=file.file_bytes,
            soft_iou_before=self._before,
            soft_iou_after=soft_iou,
            timing=Timing(
                before_ms=plain.p50_ms,
                after_ms=other.p50_ms,
                runs=plain.runs,
                threads=plain.threads,
                machine=f"{machine.processor} ({', '.join(machine.instructions)})",
                onnxruntime=machine.versions["onnxruntime"],
            ),
        )

    def _predictor(self, path: Path, concurrency: int = 1) -> Predictor:
        threads = self._threads
        return Predictor(path, size=self._size, threads=threads, concurrency=concurrency)

    def _soft_iou(self, path: Path) -> float:
        predictor = self._predictor(path, concurrency_for(self._threads))
        return evaluate(predictor, self._split, masks=self._masks).soft.pooled.iou
