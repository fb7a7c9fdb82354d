"""Weights stored in half precision."""

import copy

import numpy as np
import onnx
from onnx import numpy_helper

from export.conversion import ensure_standard
from export.variants.half import store_half
from tests.support.onnx_runs import run, weights_of


def test_half_storage_computes_in_float32_with_rounded_weights(plain: onnx.ModelProto) -> None:
    half, kept = store_half(plain)
    rounded = copy.deepcopy(plain)
    for tensor in rounded.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.size >= 256:
            nearest = values.astype(np.float16).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(nearest, tensor.name))
    np.testing.assert_array_equal(run(half), run(rounded))
    assert np.abs(run(half) - run(plain)).max() > 0.0
    assert kept == ()
    assert half.ByteSize() < 0.6 * plain.ByteSize()
    ensure_standard(half)


def test_a_weight_beyond_half_precision_stays_float32(plain: onnx.ModelProto) -> None:
    name = "network.decoder.0.convs.0.weight"
    large = copy.deepcopy(plain)
    for tensor in large.graph.initializer:
        if tensor.name == name:
            values = numpy_helper.to_array(tensor).copy()
            values.flat[0] = 7e4
            tensor.CopyFrom(numpy_helper.from_array(values, name))
    half, ((kept, reason),) = store_half(large)
    assert kept == name
    assert "beyond half precision" in reason
    assert weights_of(half)[name].dtype == np.float32
