"""From trained networks to a file: convert, compare with PyTorch, choose the variant, write."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx

from export.conversion import convert, expected_seconds
from export.golden_pair import choose_scan, onnx_runtime_pair, pytorch_pair
from export.localization import first_difference
from export.model_file import write_model
from export.parity import (
    TOLERANCE,
    ParityCase,
    ParityMismatchError,
    ReferenceOutput,
    certify,
    make_parity_cases,
    run_reference,
)
from export.request import ExportRequest
from export.variants.evaluation import VariantEvaluation, VariantEvaluator, first_accepted
from export.variants.variants import Variant, half_variant, int8_variants, winograd_variant
from runtime.core.errors import ParityError
from runtime.core.files import ensure_replaceable
from runtime.core.machine import available_cores
from runtime.core.progress import ProgressCallback, duration_text, report_progress
from runtime.data.coco import Dataset
from runtime.data.orientation import Size
from runtime.data.samples import MaskKind
from runtime.model.certificate import Conversion, Parity
from runtime.model.metadata import INPUT_NAME, OUTPUT_NAME, Metadata
from runtime.model.onnx_file import OnnxFile
from runtime.model.sessions import open_session
from train.architectures import ARCHITECTURES
from train.network import SegmentationNetwork

_WRITING = "writing the file, with a golden pair, and its card"


@dataclass(frozen=True, slots=True)
class TrainedNetworks:
    """Networks to export, and the data that the result is judged on.

    Attributes:
        networks: in eval mode; several become their mean.
        metadata: the file's description of itself, without a certificate.
        dataset: its valid split gives the real images of the comparison, its train split those
            for calibration.
        masks: the masks that soft IoU is computed against.
    """

    networks: Sequence[SegmentationNetwork]
    metadata: Metadata
    dataset: Dataset
    masks: MaskKind

    @property
    def size(self) -> Size:
        """Height and width of the input."""
        return self.metadata.input.height, self.metadata.input.width


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Inputs, and PyTorch's outputs for them, that graphs are compared with."""

    cases: tuple[ParityCase, ...]
    references: tuple[ReferenceOutput, ...]
    images_from: str
    threads: int

    def certify(
        self,
        model: onnx.ModelProto,
        tolerance: float | None,
        on_progress: ProgressCallback | None,
    ) -> Parity:
        return certify(
            model,
            self.cases,
            self.references,
            images_from=self.images_from,
            threads=self.threads,
            tolerance=tolerance,
            on_progress=on_progress,
        )

    def at_size(self, size: Size) -> "_Comparison":
        """Return the part of the comparison that has one height and width."""
        pairs = zip(self.cases, self.references, strict=True)
        fitting = [(case, ref) for case, ref in pairs if case.inputs.shape[2:] == size]
        cases, references = zip(*fitting, strict=True)
        return replace(self, cases=cases, references=references)


def write_networks(
    trained: TrainedNetworks,
    request: ExportRequest,
    *,
    on_progress: ProgressCallback | None = None,
) -> OnnxFile:
    """Write networks as one file with its card, after a comparison with PyTorch.

    Raises:
        ConfigError: there is no such variant of the networks.
        ParityError: the file would not compute what the networks compute, would cost too much
            accuracy, or is an optimization that is not faster. No file is written.
        OutputError: the file cannot be written.
    """
    ensure_replaceable(request.target)
    threads = request.threads or available_cores()
    try:
        plain, comparison, parity = _convert(trained, threads, on_progress)
    except ParityError:
        known = all(network.arch in ARCHITECTURES for network in trained.networks)
        if known or not trained.metadata.input.multiple:
            raise
        # A network of others may decide by the size of its input, and a graph decides only once.
        report_progress(on_progress, "not possible for all sizes; again for its own size")
        spec = replace(trained.metadata.input, multiple=0)
        trained = replace(trained, metadata=replace(trained.metadata, input=spec))
        plain, comparison, parity = _convert(trained, threads, on_progress)
    spec = trained.metadata.input
    if request.variant == "fp32":
        report_progress(on_progress, _WRITING)
        scan = choose_scan(plain, spec, threads)
        golden = pytorch_pair(scan, trained.networks, spec, tolerance=TOLERANCE)
        metadata = replace(trained.metadata, parity=parity)
        return write_model(request.target, plain, metadata, golden)
    return _write_variant(trained, request, plain, comparison, on_progress)


def _convert(
    trained: TrainedNetworks, threads: int, on_progress: ProgressCallback | None
) -> tuple[onnx.ModelProto, _Comparison, Parity]:
    """Convert the networks and compare the graph with PyTorch. Raises ParityError."""
    about = duration_text(expected_seconds(trained.networks))
    report_progress(on_progress, f"converting, which takes about {about}")
    plain = convert(trained.networks, trained.metadata.input)
    comparison = _compare(trained, threads, on_progress)
    try:
        return plain, comparison, comparison.certify(plain, TOLERANCE, on_progress)
    except ParityMismatchError as error:
        layer = _first_wrong_layer(trained, plain, error, threads)
        raise ParityError(f"{error}{layer}; no file was written") from error


def _write_variant(
    trained: TrainedNetworks,
    request: ExportRequest,
    plain: onnx.ModelProto,
    comparison: _Comparison,
    on_progress: ProgressCallback | None,
) -> OnnxFile:
    threads, spec = comparison.threads, trained.metadata.input
    evaluator = VariantEvaluator(plain, trained.dataset, spec, trained.masks, threads, on_progress)
    variants = _variants(trained, request, plain, threads, on_progress)
    variant, evaluation = first_accepted(variants, evaluator, request.variant)
    if not variant.input.multiple:
        comparison = comparison.at_size(trained.size)
    try:
        parity = comparison.certify(variant.model, variant.tolerance, on_progress)
    except ParityMismatchError as error:
        raise ParityError(f"{error}; no file was written") from error
    metadata = replace(
        trained.metadata,
        input=variant.input,
        parity=parity,
        precision=variant.precision,
        conversion=_conversion(plain, variant, evaluation, comparison),
    )
    report_progress(on_progress, _WRITING)
    scan = choose_scan(plain, spec, threads)
    golden = (
        onnx_runtime_pair(scan, variant.model, spec, threads=threads)
        if variant.tolerance is None
        else pytorch_pair(scan, trained.networks, spec, tolerance=variant.tolerance)
    )
    return write_model(request.target, variant.model, metadata, golden)


def _compare(
    trained: TrainedNetworks, threads: int, on_progress: ProgressCallback | None
) -> _Comparison:
    valid = trained.dataset.split("valid")
    spec = trained.metadata.input
    cases = make_parity_cases(valid, trained.size, spec.multiple, trained.masks)
    return _Comparison(
        cases,
        run_reference(trained.networks, cases, on_progress=on_progress),
        images_from=f"{trained.dataset.name}, valid",
        threads=threads,
    )


def _first_wrong_layer(
    trained: TrainedNetworks, plain: onnx.ModelProto, error: ParityMismatchError, threads: int
) -> str:
    """Return which layer is the first to differ, as the end of a sentence."""
    # Two images show every fault that depends on the batch.
    inputs = error.case.inputs[:2]
    found = first_difference(plain, trained.networks, inputs, threads=threads)
    if found is None:
        return ", in no layer that can be compared alone"
    return (
        f", first in layer {found.layer} ({found.operator}), by {found.relative:.2g} of its "
        "largest value"
    )


def _variants(
    trained: TrainedNetworks,
    request: ExportRequest,
    plain: onnx.ModelProto,
    threads: int,
    on_progress: ProgressCallback | None,
) -> Iterator[Variant]:
    spec = trained.metadata.input
    if request.variant == "winograd":
        yield winograd_variant(plain, spec)
    elif request.variant == "fp16":
        yield half_variant(plain, spec)
    else:
        yield from int8_variants(
            plain, spec, trained.dataset, threads=threads, on_progress=on_progress
        )


def _conversion(
    plain: onnx.ModelProto,
    variant: Variant,
    evaluation: VariantEvaluation,
    comparison: _Comparison,
) -> Conversion:
    return Conversion(
        method=variant.method,
        plain_digest=evaluation.plain_digest,
        plain_bytes=evaluation.plain_bytes,
        calibration=variant.calibration,
        unconverted=variant.unconverted,
        max_difference=_largest_difference(plain, variant.model, comparison),
        judged_on=evaluation.judged_on,
        soft_iou_before=evaluation.soft_iou_before,
        soft_iou_after=evaluation.soft_iou_after,
        soft_iou_fall_allowed=variant.allowed_fall,
        timing=evaluation.timing,
    )


def _largest_difference(
    plain: onnx.ModelProto, model: onnx.ModelProto, comparison: _Comparison
) -> float:
    sessions = [
        open_session(graph.SerializeToString(), threads=comparison.threads)
        for graph in (plain, model)
    ]
    outputs = (
        [session.run([OUTPUT_NAME], {INPUT_NAME: case.inputs})[0] for session in sessions]
        for case in comparison.cases
    )
    return max(float(np.abs(first - second).max()) for first, second in outputs)
