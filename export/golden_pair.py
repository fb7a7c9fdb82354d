"""Making a file's golden pair: a scan that stirs the network, and what it gives for it."""

from collections.abc import Sequence

import numpy as np
import onnx
import torch

from export.conversion import joined
from runtime.data.images import load_scan, to_input
from runtime.model.golden import Difference, Golden, golden_scan, make_golden
from runtime.model.metadata import INPUT_NAME, OUTPUT_NAME, InputSpec
from runtime.model.sessions import open_session
from train.network import UNet

_HEADS = 8
_LEAST_TOLERANCE = 1e-5
_MARGIN = 4.0
"""Times the difference between optimized and not: other processors round at other places."""


def choose_scan(model: onnx.ModelProto, spec: InputSpec, threads: int) -> bytes:
    """Return the synthetic scan, of eight, whose probabilities vary most, as PNG.

    A scan that leaves a network cold would let a changed weight pass.
    """
    session = open_session(model.SerializeToString(), threads=threads)
    size = (spec.height, spec.width)
    scans = [golden_scan(size, number) for number in range(_HEADS)]
    stirred = []
    for scan in scans:
        inputs = to_input(load_scan(scan, size).pixels)[None]
        stirred.append(float(session.run([OUTPUT_NAME], {INPUT_NAME: inputs})[0].std()))
    return scans[int(np.argmax(stirred))]


def exact_pair(
    scan: bytes, networks: Sequence[UNet], spec: InputSpec, *, tolerance: float
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


def own_pair(scan: bytes, model: onnx.ModelProto, spec: InputSpec, *, threads: int) -> Golden:
    """Return the pair of a scan and what a graph gives for it, computed node by node as it stands.

    For graphs that are not meant to give their networks' own numbers. The tolerance is four times
    the differences that ONNX Runtime's optimizations make here, and at least 1e-5: where 8 bits
    round to the one side or the other, single pixels may change much, their mean does not.
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
