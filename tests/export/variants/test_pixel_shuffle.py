"""Transposed convolutions as convolutions and a shuffle of pixels."""

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from export.variants.pixel_shuffle import shuffle_pixels
from tests.support.onnx_runs import run


def upsampling(
    weight: NDArray[np.float32], bias: NDArray[np.float32] | None, **form: Any
) -> onnx.ModelProto:
    tensors = [numpy_helper.from_array(weight, "w")]
    if bias is not None:
        tensors.append(numpy_helper.from_array(bias, "b"))
    node = helper.make_node(
        "ConvTranspose", ["image", *(t.name for t in tensors)], ["y"], "up/ConvTranspose", **form
    )
    values = [helper.make_tensor_value_info(n, 1, [None] * 4) for n in ("image", "y")]
    graph = helper.make_graph([node], "g", [values[0]], [values[1]], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@settings(max_examples=25, deadline=None)
@given(
    channels=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    biased=st.booleans(),
    seed=st.integers(0, 99),
)
def test_pixel_shuffles_are_transposed_convolutions(
    channels: tuple[int, int], size: tuple[int, int], biased: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(*channels, 2, 2)).astype(np.float32)
    bias = rng.normal(size=channels[1]).astype(np.float32) if biased else None
    images = rng.normal(size=(2, channels[0], *size)).astype(np.float32)
    model = shuffle_pixels(upsampling(weight, bias, strides=[2, 2]))
    assert [node.op_type for node in model.graph.node] == ["Conv", "DepthToSpace"]
    expected = torch.nn.functional.conv_transpose2d(
        torch.from_numpy(images).double(),
        torch.from_numpy(weight).double(),
        None if bias is None else torch.from_numpy(bias).double(),
        stride=2,
    ).numpy()
    np.testing.assert_allclose(run(model, images), expected, atol=1e-5)


@pytest.mark.parametrize(
    "form",
    [
        {"strides": [1, 1]},
        {"strides": [2, 2], "pads": [1, 1, 1, 1]},
        {"strides": [2, 2], "output_padding": [1, 1]},
        {"strides": [2, 2], "group": 2},
        {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
        {"strides": [2, 2], "output_shape": [4, 4]},
        {"strides": [2, 2], "dilations": [2, 2]},
    ],
)
def test_another_transposed_convolution_is_left_alone(form: dict[str, object]) -> None:
    model = upsampling(np.ones((4, 2, 2, 2), np.float32), None, **form)
    assert shuffle_pixels(model) == model
