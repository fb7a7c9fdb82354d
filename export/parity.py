"""The comparison of an ONNX graph with the PyTorch networks that it came from.

The reference is each network in float64. In float32, PyTorch's own rounding would count as much as
the file's: on a trained ResNet50 it is the larger of the two.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from export.conversion import logit_name, with_logit_outputs
from runtime.core.errors import ParityError
from runtime.core.machine import installed_versions
from runtime.core.progress import ProgressCallback, report_progress
from runtime.data.orientation import Size
from runtime.data.resizing import to_input
from runtime.data.samples import MaskKind, Sample
from runtime.data.split import Split
from runtime.metrics import THRESHOLD, pixel_sums, scores
from runtime.model.certificate import Parity
from runtime.model.metadata import INPUT_NAME, OUTPUT_NAME
from runtime.model.providers import CPU, PROVIDERS
from runtime.model.sessions import open_session
from train.network import SegmentationNetwork

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

TOLERANCE = 1e-5
"""The largest accepted difference of probabilities."""
REAL_IMAGES = 8


@dataclass(frozen=True, slots=True)
class ParityCase:
    """An input that graph and networks are compared on.

    Attributes:
        inputs: float32 [N, 3, H, W] in [0, 1].
        masks: uint8 [N, H, W] of real images, for the change of their soft IoU; None otherwise.
    """

    name: str
    inputs: Floats
    masks: NDArray[np.uint8] | None = None


def make_parity_cases(
    split: Split,
    size: Size,
    multiple: int,
    masks: MaskKind,
) -> tuple[ParityCase, ...]:
    """Return real images alone and as one batch, other sizes, and four artificial images.

    Up to eight real images are taken, spread evenly over the split.

    Args:
        masks: the kind of masks that the soft IoU of the real images is computed against.
        multiple: of other heights and widths; 0 where the network takes no other size.

    Raises:
        ImageError: an image cannot be read.
    """
    chosen = np.linspace(0, len(split.samples) - 1, min(REAL_IMAGES, len(split.samples)))
    samples = [split.samples[int(index)] for index in chosen]
    cases = [
        ParityCase(sample.file_name, _inputs([sample], size), sample.mask(size, masks)[None])
        for sample in samples
    ]
    cases.append(ParityCase(f"a batch of {len(samples)}", _inputs(samples, size)))
    others = ((size[0] + multiple, size[1]), (size[0], size[1] + 2 * multiple))
    for other in others if multiple else ():
        cases.append(ParityCase(f"size {other[0]}x{other[1]}", _inputs(samples[:1], other)))
    return (*cases, *_artificial(size))


def _inputs(samples: Sequence[Sample], size: Size) -> Floats:
    return np.stack([to_input(sample.load(size).pixels) for sample in samples])


def _artificial(size: Size) -> list[ParityCase]:
    shape = (1, 3, *size)
    spot = np.zeros(shape, np.float32)
    spot[:, :, size[0] // 2, size[1] // 2] = 1.0
    noise = np.random.default_rng(0).random(shape, np.float32)
    return [
        ParityCase("all zero", np.zeros(shape, np.float32)),
        ParityCase("all one", np.ones(shape, np.float32)),
        ParityCase("noise", noise),
        ParityCase("a single bright pixel", spot),
    ]


@dataclass(frozen=True, slots=True)
class ReferenceOutput:
    """The networks' output for a case, from PyTorch.

    Attributes:
        probabilities: float64 [N, 1, H, W], the mean of the networks' in float64.
        single: float32 [N, 1, H, W], the same computed in float32.
        logits: float64 [networks, N, 1, H, W].
    """

    probabilities: Doubles
    single: Floats
    logits: Doubles


def run_reference(
    networks: Sequence[SegmentationNetwork],
    cases: Sequence[ParityCase],
    *,
    on_progress: ProgressCallback | None = None,
) -> tuple[ReferenceOutput, ...]:
    """Run networks in eval mode on each case, in PyTorch on the CPU."""
    exact = [copy.deepcopy(network).double() for network in networks]
    found = []
    for index, case in enumerate(cases):
        report_progress(on_progress, "computing in PyTorch, in float64", index, len(cases))
        inputs = torch.from_numpy(case.inputs)
        with torch.no_grad():
            logits = torch.stack([network(inputs.double()) for network in exact])
            single = torch.stack([network(inputs) for network in networks])
        found.append(
            ReferenceOutput(
                torch.sigmoid(logits).mean(0).numpy(),
                torch.sigmoid(single).mean(0).numpy(),
                logits.numpy(),
            )
        )
    return tuple(found)


def certify(
    model: onnx.ModelProto,
    cases: Sequence[ParityCase],
    expected: Sequence[ReferenceOutput],
    *,
    images_from: str,
    threads: int,
    tolerance: float | None = TOLERANCE,
    on_progress: ProgressCallback | None = None,
) -> Parity:
    """Compare a graph in ONNX Runtime, on the CPU, with the output of its networks.

    Probabilities are those of the graph as it will be written. Each network's logits come from a
    copy of the graph that has them as further outputs.

    Args:
        tolerance: the largest accepted difference of probabilities. Logits may differ by ten times
            as much, relative to 1 + the largest logit of the input. With None every finite
            difference passes, for a graph that is judged in another way.

    Returns:
        The certificate, without the file's digest.

    Raises:
        ParityMismatchError: a difference is larger than its tolerance.
    """
    probability_session = open_session(model.SerializeToString(), threads=threads)
    logit_session = open_session(with_logit_outputs(model).SerializeToString(), threads=threads)
    logit_names = [logit_name(member) for member in range(len(expected[0].logits))]
    differences = []
    for index, (case, reference) in enumerate(zip(cases, expected, strict=True)):
        report_progress(on_progress, "comparing the graph with PyTorch", index, len(cases))
        (found,) = probability_session.run([OUTPUT_NAME], {INPUT_NAME: case.inputs})
        logits = np.stack(logit_session.run(logit_names, {INPUT_NAME: case.inputs}))
        differences.append(_compare(case, reference, found, logits, tolerance))
    probabilities = np.concatenate([difference.probabilities for difference in differences])
    logits = np.concatenate([difference.logits for difference in differences])
    return Parity(
        images=sum(case.masks is not None for case in cases),
        images_from=images_from,
        inputs=sum(len(case.inputs) for case in cases),
        pixels=probabilities.size,
        max_probability=float(probabilities.max()),
        p99_probability=float(np.quantile(probabilities, 0.99)),
        max_logit=float(logits.max()),
        p99_logit=float(np.quantile(logits, 0.99)),
        max_probability_float32=max(difference.single for difference in differences),
        tolerance_probability=tolerance,
        flipped_pixels=sum(difference.flipped for difference in differences),
        soft_iou_change=max(difference.iou_change for difference in differences),
        versions=installed_versions("torch", "onnx", "onnxruntime"),
        providers=(PROVIDERS[CPU].execution_provider,),
    )


@dataclass(frozen=True, slots=True)
class _CaseDifference:
    """The differences on one case; arrays are absolute differences, flat."""

    probabilities: Doubles
    logits: Doubles
    single: float
    flipped: int
    iou_change: float


def _compare(
    case: ParityCase,
    reference: ReferenceOutput,
    found: Floats,
    logits: Floats,
    tolerance: float | None,
) -> _CaseDifference:
    """Return the differences on one case, or raise ParityMismatchError."""
    probability_difference = np.abs(found - reference.probabilities)
    logit_difference = np.abs(logits - reference.logits)
    limit = np.finfo(np.float64).max if tolerance is None else tolerance
    _gate(case, "probabilities", probability_difference, limit)
    for difference, expected in zip(logit_difference, reference.logits, strict=True):
        scale = 10.0 * (1.0 + float(np.abs(expected).max()))
        _gate(case, "logits", difference, limit if tolerance is None else limit * scale)
    flipped = (found >= THRESHOLD) != (reference.probabilities >= THRESHOLD)
    masks = case.masks
    return _CaseDifference(
        probabilities=probability_difference.ravel(),
        logits=logit_difference.ravel(),
        single=float(np.abs(found - reference.single).max()),
        flipped=int(flipped.sum()),
        iou_change=_iou_change(found, reference.probabilities, masks) if masks is not None else 0.0,
    )


class ParityMismatchError(ParityError):
    """A graph differs from its networks on a case.

    Attributes:
        case: the first one with a difference.
    """

    def __init__(self, message: str, case: ParityCase) -> None:
        super().__init__(message)
        self.case = case


def _gate(case: ParityCase, values: str, difference: Doubles, limit: float) -> None:
    largest = float(difference.max())
    # Written so that a NaN fails.
    if not largest <= limit:
        raise ParityMismatchError(
            f"the converted network's {values} differ from PyTorch's on {case.name}: at most "
            f"{limit:.2g} is allowed, found {largest:.2g}",
            case,
        )


def _iou_change(found: Floats, expected: Doubles, masks: NDArray[np.uint8]) -> float:
    pairs = zip(found[:, 0], expected[:, 0], masks, strict=True)
    changes = [
        abs(scores(pixel_sums(f, m)).iou - scores(pixel_sums(e, m)).iou) for f, e, m in pairs
    ]
    return float(np.nan_to_num(changes).max())
