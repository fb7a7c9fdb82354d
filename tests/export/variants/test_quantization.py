"""Weights and activations in eight bits."""

import numpy as np
import onnx

from export.variants.pixel_shuffle import shuffle_pixels
from export.variants.quantization import Quantizer
from tests.support.onnx_runs import run, weights_of


def test_int8_weights_take_seven_bits_with_a_scale_a_channel(
    quantizer: Quantizer, plain: onnx.ModelProto
) -> None:
    model = quantizer.quantize([node.name for node in quantizer.layers])
    assert {node.domain for node in model.graph.node} == {""}
    stored, originals = weights_of(model), weights_of(shuffle_pixels(plain))
    for node in quantizer.layers:
        name = node.input[1]
        values, scale = stored[f"{name}_quantized"], stored[f"{name}_scale"]
        assert values.dtype == np.int8
        assert scale.shape == (values.shape[0],)
        assert np.abs(values.astype(int)).max() <= 64
        steps = scale.reshape(-1, 1, 1, 1)
        assert np.all(np.abs(values * steps - originals[name]) <= 0.51 * steps)
    assert np.abs(run(model) - run(plain)).max() < 0.1


def test_a_layer_that_is_excluded_computes_in_float32(quantizer: Quantizer) -> None:
    names = [node.name for node in quantizer.layers]
    model = quantizer.quantize(names[1:])
    (left,) = (node for node in model.graph.node if node.name == names[0])
    assert left.input[0] == "image"
    assert left.input[1] in weights_of(model)
    assert weights_of(model)[left.input[1]].dtype == np.float32
