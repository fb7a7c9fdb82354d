"""The cost and gain of a variant: soft IoU on the valid split, and the time of a prediction."""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import onnx

from export.variants.variants import Variant
from runtime.core.errors import ParityError
from runtime.core.machine import describe_machine
from runtime.core.progress import Progress, ProgressCallback, report_progress
from runtime.data.coco import Dataset
from runtime.data.samples import MaskKind
from runtime.model.certificate import Timing
from runtime.model.metadata import InputSpec
from runtime.model.onnx_file import read_onnx
from runtime.model.predictor import Predictor, concurrency_for
from runtime.model.timing import measure_latency
from runtime.scoring.evaluation import evaluate

_RUNS = 20


@dataclass(frozen=True, slots=True)
class VariantEvaluation:
    """A variant beside the plain graph of the same networks.

    Attributes:
        plain_digest, plain_bytes: of a file of the plain graph without metadata.
        judged_on: the images that soft IoU was computed on, in words.
        soft_iou_before, soft_iou_after: pooled, of the plain graph and of the variant.
        timing: of both.
    """

    plain_digest: str
    plain_bytes: int
    judged_on: str
    soft_iou_before: float
    soft_iou_after: float
    timing: Timing

    @property
    def fall(self) -> float:
        """The fall of soft IoU; negative where it rises."""
        return self.soft_iou_before - self.soft_iou_after


class VariantEvaluator:
    """Compares variants with the plain graph, which is scored only once.

    Args:
        dataset: its valid split is scored.
        spec: of the networks' input.
    """

    def __init__(
        self,
        plain: onnx.ModelProto,
        dataset: Dataset,
        spec: InputSpec,
        masks: MaskKind,
        threads: int,
        on_progress: ProgressCallback | None = None,
    ) -> None:
        self._plain = plain
        self._split = dataset.split("valid")
        self.split_name = f"{dataset.name}, valid"
        self._spec = spec
        self._masks: MaskKind = masks
        self._threads = threads
        self._on_progress = on_progress
        self._before: float | None = None

    def measure(self, model: onnx.ModelProto) -> VariantEvaluation:
        """Score both graphs as the runtime does, and time them interleaved."""
        with tempfile.TemporaryDirectory() as folder:
            before, after = Path(folder) / "before.onnx", Path(folder) / "after.onnx"
            before.write_bytes(self._plain.SerializeToString())
            after.write_bytes(model.SerializeToString())
            if self._before is None:
                self._before = self._soft_iou(before)
            soft_iou = self._soft_iou(after)
            report_progress(self._on_progress, "timing")
            timed = [self._predictor(path) for path in (before, after)]
            plain, variant = measure_latency(timed, runs=_RUNS)
            file = read_onnx(before)
        machine = describe_machine()
        return VariantEvaluation(
            plain_digest=file.digest,
            plain_bytes=file.file_bytes,
            judged_on=f"{len(self._split.samples)} images of {self.split_name}",
            soft_iou_before=self._before,
            soft_iou_after=soft_iou,
            timing=Timing(
                before_ms=plain.p50_ms,
                after_ms=variant.p50_ms,
                runs=plain.runs,
                threads=plain.threads,
                machine=f"{machine.processor} ({', '.join(machine.instructions)})",
                onnxruntime=machine.versions["onnxruntime"],
            ),
        )

    def _predictor(self, path: Path, concurrency: int = 1) -> Predictor:
        predictor = Predictor(
            path,
            size=(self._spec.height, self._spec.width),
            threads=self._threads,
            concurrency=concurrency,
            intensity=self._spec.intensity,
        )
        predictor.framing = self._spec.framing(predictor.size)  # the graph alone states none
        return predictor

    def _soft_iou(self, path: Path) -> float:
        predictor = self._predictor(path, concurrency_for(self._threads))
        evaluation = evaluate(
            predictor, self._split, masks=self._masks, on_progress=self._report_image
        )
        return evaluation.soft.pooled.iou

    def _report_image(self, progress: Progress) -> None:
        report_progress(self._on_progress, "scoring the valid split", progress.done, progress.total)


def first_accepted(
    variants: Iterable[Variant], evaluator: VariantEvaluator, name: str
) -> tuple[Variant, VariantEvaluation]:
    """Return the first variant that costs little enough accuracy, with its evaluation.

    Args:
        name: of the kind of variant, for messages.

    Raises:
        ParityError: all cost too much, or one that is only worth its speed is not faster.
    """
    falls, allowed = [], 0.0
    for variant in variants:
        evaluation = evaluator.measure(variant.model)
        timing = evaluation.timing
        if variant.for_speed and timing.after_ms >= timing.before_ms:
            raise ParityError(
                f"{name} is not faster on this machine: it takes {timing.after_ms:.3g} ms per "
                f"image, the plain file {timing.before_ms:.3g} ms; no file was written"
            )
        # Written so that a NaN fails.
        if evaluation.fall <= variant.allowed_fall:
            return variant, evaluation
        falls.append(evaluation.fall)
        allowed = variant.allowed_fall
    if not falls:
        raise ParityError(f"{name} saves too little time in every layer; no file was written")
    raise ParityError(
        f"{name} costs too much accuracy: pooled soft IoU on {evaluator.split_name} falls by "
        f"{min(falls):.2g}, at most {allowed:g} is allowed; no file was written"
    )
