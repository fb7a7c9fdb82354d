"""Each layer on rows as a small graph in ONNX Runtime, against PyTorch in float64."""

from collections.abc import Callable, Sequence

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, checker, helper
from torch.nn import functional

from export.winograd import layers
from export.winograd.builder import GraphBuilder
from export.winograd.layers import WinogradLayout
from export.winograd.rows import Rows, from_image, to_image
from runtime.data.orientation import Size

Image = NDArray[np.float32]
few = settings(max_examples=15, deadline=None)


def run(
    images: Sequence[Image], build: Callable[[GraphBuilder, str, list[Rows]], Sequence[Rows]]
) -> Image:
    """Run a graph that turns images into rows, lets `build` work on them, and turns them back."""
    builder = GraphBuilder("rows/")
    names = [f"image_{index}" for index in range(len(images))]
    batch = builder.node("Shape", names[0], start=0, end=1)
    sizes: list[Size] = [(image.shape[2], image.shape[3]) for image in images]
    maps = [
        from_image(builder, name, image.shape[1], size)
        for name, image, size in zip(names, images, sizes, strict=True)
    ]
    output = to_image(builder, batch, build(builder, batch, maps))
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *image.shape[1:]])
        for name, image in zip(names, images, strict=True)
    ]
    last = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", "c", "h", "w"])
    graph = helper.make_graph(builder.nodes, "rows", inputs, [last], builder.initializers)
    opset = helper.make_opsetid("", 20)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    checker.check_model(model)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(None, dict(zip(names, images, strict=True)))
    return np.asarray(found)


def normal(rng: np.random.Generator, *shape: int) -> Image:
    return rng.normal(size=shape).astype(np.float32)


def convolved(
    images: Sequence[Image], weights: Image, bias: NDArray[np.float64], **settings: int
) -> NDArray[np.float64]:
    joined = torch.from_numpy(np.concatenate(images, axis=1)).double()
    kernel = torch.from_numpy(weights).double()
    return functional.conv2d(joined, kernel, torch.from_numpy(bias), **settings).numpy()


@few
@given(
    size=st.tuples(st.integers(1, 19), st.integers(1, 19)),
    channels=st.lists(st.integers(1, 6), min_size=1, max_size=2),
    outputs=st.integers(1, 5),
    batch=st.integers(1, 3),
    layout=st.builds(WinogradLayout, st.sampled_from((2, 4, 6)), st.integers(1, 4), st.booleans()),
    seed=st.integers(0, 1000),
)
def test_a_winograd_convolution_of_joined_maps_is_the_direct_one(
    size: Size, channels: list[int], outputs: int, batch: int, layout: WinogradLayout, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    images = [normal(rng, batch, count, *size) for count in channels]
    weights, bias = normal(rng, outputs, sum(channels), 3, 3), rng.normal(size=outputs)
    found = run(
        images,
        lambda b, batch, maps: [layers.convolve_winograd(b, batch, maps, weights, bias, layout)],
    )
    # In F(6x6,3x3) large values cancel: 4.5e-4 off in 400 draws; a wrong pixel changes tenths.
    np.testing.assert_allclose(found, convolved(images, weights, bias, padding=1), atol=2e-3)


@few
@given(
    layouts=st.lists(
        st.builds(WinogradLayout, st.sampled_from((2, 4, 6)), st.integers(1, 4), st.booleans()),
        min_size=2,
        max_size=2,
    ),
    scale=st.sampled_from((0.1, 1.0, 10.0)),
    seed=st.integers(0, 1000),
)
def test_a_shift_goes_through_activation_convolution_and_padding(
    layouts: list[WinogradLayout], scale: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    image = normal(rng, 2, 3, 14, 10)
    one, two = normal(rng, 4, 3, 3, 3), normal(rng, 5, 4, 3, 3)
    biases = rng.normal(size=4) * scale, rng.normal(size=5) * scale

    def build(builder: GraphBuilder, batch: str, maps: list[Rows]) -> list[Rows]:
        first = layers.convolve_winograd(builder, batch, maps, one, biases[0], layouts[0])
        active = layers.relu(builder, first)
        assert active.shift.any()
        last = layers.convolve_winograd(builder, batch, [active], two, biases[1], layouts[1])
        return [layers.relu(builder, last)]

    hidden = np.maximum(convolved([image], one, biases[0], padding=1), 0)
    kernel = torch.from_numpy(two).double()
    expected = functional.conv2d(
        torch.from_numpy(hidden), kernel, torch.from_numpy(biases[1]), padding=1
    )
    np.testing.assert_allclose(run([image], build), expected.relu().numpy(), atol=2e-3)


@few
@given(
    size=st.tuples(st.integers(3, 12), st.integers(3, 12)),
    kernel=st.sampled_from((1, 3)),
    stride=st.sampled_from((1, 2)),
    padding=st.integers(0, 1),
    seed=st.integers(0, 1000),
)
def test_a_convolution_of_patches_is_the_direct_one(
    size: Size, kernel: int, stride: int, padding: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    images = [normal(rng, 2, 2, *size), normal(rng, 2, 4, *size)]
    weights, bias = normal(rng, 3, 6, kernel, kernel), rng.normal(size=3)
    expected = convolved(images, weights, bias, stride=stride, padding=padding)
    output: Size = (expected.shape[2], expected.shape[3])
    strides, pads = (stride, stride), (padding, padding)
    found = run(
        images,
        lambda b, batch, maps: [
            layers.convolve_direct(b, batch, maps, weights, bias, strides, pads, output)
        ],
    )
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("tile", [0, 2, 4, 6])
def test_pooling_and_doubling_follow_a_convolution_in_any_order(tile: int) -> None:
    rng = np.random.default_rng(tile)
    image, bias = normal(rng, 2, 3, 20, 12), rng.normal(size=4)
    weights, back = normal(rng, 4, 3, 3, 3), normal(rng, 4, 2, 2, 2)

    def build(builder: GraphBuilder, batch: str, maps: list[Rows]) -> list[Rows]:
        if tile:
            rows = layers.convolve_winograd(
                builder, batch, maps, weights, bias, WinogradLayout(tile, 2)
            )
        else:
            sides = (1, 1), (1, 1), (20, 12)
            rows = layers.convolve_direct(builder, batch, maps, weights, bias, *sides)
        pooled = layers.max_pool(builder, batch, rows)
        assert len(pooled.parts) == (2 if tile else 1), "a strip is pooled by itself"
        return [layers.upsample(builder, pooled, back, np.array([1.0, -2.0]))]

    pooled = functional.max_pool2d(
        torch.from_numpy(convolved([image], weights, bias, padding=1)), 2
    )
    expected = functional.conv_transpose2d(
        pooled, torch.from_numpy(back).double(), torch.tensor([1.0, -2.0]).double(), stride=2
    )
    np.testing.assert_allclose(run([image], build), expected.numpy(), atol=1e-3)


@pytest.mark.parametrize(
    "layouts",
    [(WinogradLayout(4), WinogradLayout(4)), (WinogradLayout(4, 3), WinogradLayout(6, 2))],
)
def test_a_sum_of_maps_is_in_either_order(layouts: tuple[WinogradLayout, WinogradLayout]) -> None:
    rng = np.random.default_rng(0)
    image = normal(rng, 2, 3, 13, 16)
    weights = normal(rng, 4, 3, 3, 3), normal(rng, 4, 3, 3, 3)
    biases = rng.normal(size=4), rng.normal(size=4)

    def build(builder: GraphBuilder, batch: str, maps: list[Rows]) -> list[Rows]:
        one, other = (
            layers.convolve_winograd(builder, batch, maps, *given)
            for given in zip(weights, biases, layouts, strict=True)
        )
        return [layers.add(builder, batch, one, other)]

    expected = sum(
        convolved([image], *given, padding=1) for given in zip(weights, biases, strict=True)
    )
    np.testing.assert_allclose(run([image], build), expected, atol=1e-3)


def test_a_shift_does_not_grow_from_layer_to_layer() -> None:
    rng = np.random.default_rng(0)
    image, bias = normal(rng, 1, 8, 8, 8), np.ones(8)
    weights = normal(rng, 8, 8, 3, 3)
    norms = []

    def build(builder: GraphBuilder, batch: str, maps: list[Rows]) -> list[Rows]:
        rows = maps[0]
        for _ in range(6):
            rows = layers.convolve_winograd(
                builder, batch, [rows], weights, bias, WinogradLayout(4)
            )
            norms.append(np.linalg.norm(rows.shift))
        return [rows]

    run([image], build)
    assert max(norms) <= 2 * np.linalg.norm(bias)
