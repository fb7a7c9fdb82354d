"""A file's golden pair: a synthetic scan, and the probabilities that the file must give for it."""

from collections.abc import Sequence

import numpy as np
import onnx
import torch

from export.conversion import joined
from runtime.data.images import load_scan
from runtime.data.resizing import to_input
from runtime.model.golden import Difference, Golden, golden_scan, make_golden
from runtime.model.metadata import INPUT_NAME, OUTPUT_NAME, InputSpec
from runtime.model.sessions import open_session
from train.network import SegmentationNetwork

_SCANS = 8
_LEAST_TOLERANCE = 1e-5
_MARGIN = 4.0
"""Factor on the difference between optimized and not: other processors round differently."""


def choose_scan(model: onnx.ModelProto, spec: InputSpec, threads: int) -> bytes:
    """Return the one of eight synthetic scans whose probabilities vary most, as PNG.

    With constant probabilities, a changed weight could stay undetected.
    """
    session = open_session(model.SerializeToString(), threads=threads)
    size = (spec.height, spec.width)
    scans = [golden_scan(size, number) for number in range(_SCANS)]
    spreads = []
    for scan in scans:
        inputs = to_input(load_scan(scan, size).pixels)[None]
        spreads.append(float(session.run([OUTPUT_NAME], {INPUT_NAME: inputs})[0].std()))
    return scans[int(np.argmax(spreads))]


def pytorch_pair(
    scan: bytes, networks: Sequence[SegmentationNetwork], spec: InputSpec, *, tolerance: float
) -> Golden:
    """Return the pair of a scan and the networks' probabilities in PyTorch in float64."""
    inputs = to_input(load_scan(scan, (spec.height, spec.width)).pixels)[None]
    with torch.no_grad():
        output = joined(networks).double()(torch.from_numpy(inputs).double()).numpy()
    return make_golden(
        scan,
        output[0, 0],
        tolerance=Difference(tolerance, tolerance),
        reference="PyTorch in float64",
    )


def onnx_runtime_pair(
    scan: bytes, model: onnx.ModelProto, spec: InputSpec, *, threads: int
) -> Golden:
    """Return the pair of a scan and a graph's probabilities for it, without optimizations.

    This is for graphs that are not meant to reproduce their networks' numbers. The tolerance is
    four times the difference that ONNX Runtime's optimizations make on this machine, and at least
    1e-5. Largest and mean difference have tolerances of their own: a value near the edge of an
    8-bit step may change a pixel by much, but hardly the mean.
    """
    inputs = {INPUT_NAME: to_input(load_scan(scan, (spec.height, spec.width)).pixels)[None]}
    content = model.SerializeToString()
    (plain,), (optimized,) = (
        open_session(content, threads=threads, optimize=optimized).run([OUTPUT_NAME], inputs)
        for optimized in (False, True)
    )
    differences = np.abs(plain.astype(np.float64) - optimized)
    largest, mean = (
        max(_LEAST_TOLERANCE, _MARGIN * float(value))
        for value in (differences.max(), differences.mean())
    )
    return make_golden(
        scan,
        plain[0, 0],
        tolerance=Difference(largest, mean),
        reference="ONNX Runtime without optimizations",
    )
