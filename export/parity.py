"""Comparing an ONNX file with the PyTorch networks that it came from.

The reference is each network in float64. Against PyTorch's float32 a tolerance would measure
PyTorch's rounding as much as the file's: on a trained ResNet50 it is the larger of the two.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from export.conversion import logit_name, with_logit_outputs
from runtime.coco import Split
from runtime.errors import ParityError
from runtime.images import Size, load_scan, to_input
from runtime.machine import installed_versions
from runtime.metadata import INPUT_NAME, OUTPUT_NAME, Parity
from runtime.metrics import THRESHOLD, pixel_sums, scores
from runtime.predictor import PROVIDERS
from runtime.samples import Sample
from train.network import UNet

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

TOLERANCE = 1e-5
"""The largest difference of probabilities that passes."""
LOGIT_TOLERANCE = 1e-4
"""The largest difference of logits that passes, relative to 1 + the largest logit of the input."""
REAL_IMAGES = 8
_BATCH = 4


@dataclass(frozen=True, slots=True)
class Case:
    """An input to compare on.

    Attributes:
        inputs: float32 [N, 3, H, W] in [0, 1].
        masks: uint8 [N, H, W] of real images, to follow their soft IoU; None otherwise.
    """

    name: str
    inputs: Floats
    masks: NDArray[np.uint8] | None = None


def make_cases(split: Split, size: Size, multiple: int) -> tuple[Case, ...]:
    """Return real images alone and in batches of 4, other sizes, and four artificial images.

    Up to eight images are taken, evenly spread over the split.

    Args:
        multiple: of other sizes' height and width; 0 where none are allowed, and left out here.

    Raises:
        ImageError: an image cannot be read.
    """
    chosen = np.linspace(0, len(split.samples) - 1, min(REAL_IMAGES, len(split.samples)))
    samples = [split.samples[int(index)] for index in chosen]
    cases = [
        Case(sample.file_name, _inputs([sample], size), sample.mask(size)[None])
        for sample in samples
    ]
    for start in range(0, len(samples), _BATCH):
        batch = samples[start : start + _BATCH]
        cases.append(Case(f"a batch of {len(batch)}", _inputs(batch, size)))
    others = ((size[0] + multiple, size[1]), (size[0], size[1] + 2 * multiple))
    for other in others if multiple else ():
        cases.append(Case(f"size {other[0]}x{other[1]}", _inputs(samples[:1], other)))
    return (*cases, *_artificial(size))


def _inputs(samples: Sequence[Sample], size: Size) -> Floats:
    return np.stack([to_input(load_scan(sample.path, size).pixels) for sample in samples])


def _artificial(size: Size) -> list[Case]:
    shape = (1, 3, *size)
    spot = np.zeros(shape, np.float32)
    spot[:, :, size[0] // 2, size[1] // 2] = 1.0
    noise = np.random.default_rng(0).random(shape, np.float32)
    return [
        Case("all zero", np.zeros(shape, np.float32)),
        Case("all one", np.ones(shape, np.float32)),
        Case("noise", noise),
        Case("a single bright pixel", spot),
    ]


def certify(
    model: onnx.ModelProto,
    networks: Sequence[UNet],
    cases: Sequence[Case],
    *,
    images_from: str,
    threads: int,
) -> Parity:
    """Compare a graph in ONNX Runtime with networks in PyTorch in float64, on the CPU.

    Probabilities are those of the graph as it will be written, and expected to be the mean of the
    networks'; each network's logits come from a copy of the graph that has them as outputs too.

    Returns:
        The certificate.

    Raises:
        ParityError: a difference is larger than its tolerance.
    """
    probability_session = _session(model, threads)
    logit_session = _session(with_logit_outputs(model), threads)
    logit_names = [logit_name(member) for member in range(len(networks))]
    exact = [copy.deepcopy(network).double() for network in networks]
    probability_differences: list[Doubles] = []
    logit_differences: list[Doubles] = []
    flipped, iou_change, single_difference = 0, 0.0, 0.0
    for case in cases:
        inputs = torch.from_numpy(case.inputs)
        with torch.no_grad():
            expected_logits = torch.stack([network(inputs.double()) for network in exact])
            logits = torch.stack([network(inputs) for network in networks])
        single = torch.sigmoid(logits).mean(0).numpy()
        expected = torch.sigmoid(expected_logits).mean(0).numpy()
        (found,) = probability_session.run([OUTPUT_NAME], {INPUT_NAME: case.inputs})
        found_logits = logit_session.run(logit_names, {INPUT_NAME: case.inputs})
        probability_difference = np.abs(found - expected)
        _gate(case.name, "probabilities", probability_difference, TOLERANCE)
        probability_differences.append(probability_difference.ravel())
        for logit, expected_logit in zip(found_logits, expected_logits, strict=True):
            logit_difference = np.abs(logit - expected_logit.numpy())
            limit = LOGIT_TOLERANCE * (1.0 + float(expected_logit.abs().max()))
            _gate(case.name, "logits", logit_difference, limit)
            logit_differences.append(logit_difference.ravel())
        single_difference = max(single_difference, float(np.abs(found - single).max()))
        flipped += int(((found >= THRESHOLD) != (expected >= THRESHOLD)).sum())
        if case.masks is not None:
            iou_change = max(iou_change, _iou_change(found, expected, case.masks))
    probability_all = np.concatenate(probability_differences)
    logit_all = np.concatenate(logit_differences)
    return Parity(
        images=sum(case.masks is not None for case in cases),
        images_from=images_from,
        inputs=sum(len(case.inputs) for case in cases),
        pixels=probability_all.size,
        max_probability=float(probability_all.max()),
        p99_probability=float(np.quantile(probability_all, 0.99)),
        max_logit=float(logit_all.max()),
        p99_logit=float(np.quantile(logit_all, 0.99)),
        max_probability_float32=single_difference,
        tolerance_probability=TOLERANCE,
        flipped_pixels=flipped,
        soft_iou_change=iou_change,
        versions=installed_versions("torch", "onnx", "onnxruntime"),
        providers=PROVIDERS,
    )


def _session(model: onnx.ModelProto, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    content = model.SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=list(PROVIDERS))


def _gate(case: str, what: str, difference: Doubles, limit: float) -> None:
    largest = float(difference.max())
    # Written so that a NaN fails.
    if not largest <= limit:
        raise ParityError(
            f"export, {case}: expected {what} within {limit:.2g} of PyTorch's, found a difference "
            f"of {largest:.2g}; no file was written"
        )


def _iou_change(found: Floats, expected: Doubles, masks: NDArray[np.uint8]) -> float:
    pairs = zip(found[:, 0], expected[:, 0], masks, strict=True)
    changes = [
        abs(scores(pixel_sums(f, m)).iou - scores(pixel_sums(e, m)).iou) for f, e, m in pairs
    ]
    return float(np.nan_to_num(changes).max())
