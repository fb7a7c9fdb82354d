"""Whole networks in ONNX Runtime: the rewritten graph against the one that it came from."""

import numpy as np
import onnx
import onnxruntime
import pytest

from export.winograd import ConvAlgorithm, ConvShape, rewrite
from runtime.core.errors import ConfigError, ParityError
from tests.support.conversions import ENSEMBLE, Conversions

ALGORITHMS = tuple(ConvAlgorithm)


@pytest.fixture(scope="module")
def plain(conversions: Conversions) -> dict[str, onnx.ModelProto]:
    return {name: conversions[name][1] for name in ("scratch", ENSEMBLE)}


def probabilities(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(["probability"], {"image": images})
    return np.asarray(found)


def mixed(shape: ConvShape) -> ConvAlgorithm:
    """Each form somewhere, next to every other."""
    return ALGORITHMS[(shape.inputs + 3 * shape.outputs + shape.size[0]) // 4 % len(ALGORITHMS)]


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("scratch", (64, 64)),
        ("scratch", (16, 48)),
        (ENSEMBLE, (32, 64)),
    ],
)
def test_a_rewritten_network_gives_the_same_probabilities(
    name: str, size: tuple[int, int], plain: dict[str, onnx.ModelProto]
) -> None:
    for algorithm in (ConvAlgorithm.F6, mixed):
        rewritten = rewrite(
            plain[name],
            size,
            (lambda _: ConvAlgorithm.F6) if algorithm is ConvAlgorithm.F6 else mixed,
        )
        onnx.checker.check_model(rewritten.model, full_check=True)
        for batch in (1, 3):
            images = np.random.default_rng(batch).random((batch, 3, *size), dtype=np.float32)
            found = probabilities(rewritten.model, images)
            expected = probabilities(plain[name], images)
            assert found.shape == (batch, 1, *size)
            assert expected.std() > 0.05
            np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_graph_keeps_its_interface_and_holds_standard_operators(
    plain: dict[str, onnx.ModelProto],
) -> None:
    model = rewrite(plain["scratch"], (32, 48), lambda _: ConvAlgorithm.F4).model
    (image,), (probability,) = model.graph.input, model.graph.output
    for value, channels in ((image, 3), (probability, 1)):
        dims = value.type.tensor_type.shape.dim
        assert dims[0].dim_param == "batch"
        assert [dim.dim_value for dim in dims[1:]] == [channels, 32, 48]
    assert (image.name, probability.name) == ("image", "probability")
    assert {node.domain for node in model.graph.node} == {""}
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 20)]
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    assert model.graph.node[-1].op_type == "Sigmoid"


def test_weights_are_stored_as_they_were(plain: dict[str, onnx.ModelProto]) -> None:
    def floats(model: onnx.ModelProto) -> int:
        sizes = [
            int(np.prod(tensor.dims))
            for tensor in model.graph.initializer
            if tensor.data_type == onnx.TensorProto.FLOAT
        ]
        return sum(sizes)

    model = rewrite(plain[ENSEMBLE], (64, 64), lambda _: ConvAlgorithm.F6).model
    assert floats(model) <= 1.01 * floats(plain[ENSEMBLE])


def test_the_layers_are_those_of_the_network(
    plain: dict[str, onnx.ModelProto], conversions: Conversions
) -> None:
    found = rewrite(plain["scratch"], (64, 32), mixed).layers
    (network,), _ = conversions["scratch"]
    kernels = {
        name.removesuffix(".weight"): tuple(weight.shape[:2])
        for name, weight in network.named_parameters()
        if weight.shape[2:] == (3, 3)
    }
    assert {
        layer.name.removeprefix("network."): (layer.outputs, layer.inputs) for layer in found
    } == kernels
    for layer in found:
        size = (layer.height, layer.width)
        assert layer.algorithm is mixed(ConvShape(layer.inputs, layer.outputs, size))
    assert found[0].height == 64
    assert found[0].width == 32


def test_a_strided_convolution_stays_direct(plain: dict[str, onnx.ModelProto]) -> None:
    found = rewrite(plain[ENSEMBLE], (64, 64), lambda _: ConvAlgorithm.F4).layers
    direct = [layer.name for layer in found if layer.algorithm is ConvAlgorithm.DIRECT]
    encoder = "members.1.network.encoder.backbone"
    assert direct == [f"{encoder}.layer{stage}.0.conv1" for stage in (2, 3, 4)]


def test_the_given_graph_is_left_as_it_was(plain: dict[str, onnx.ModelProto]) -> None:
    before = plain["scratch"].SerializeToString(deterministic=True)
    rewrite(plain["scratch"], (32, 32), lambda _: ConvAlgorithm.F4)
    assert plain["scratch"].SerializeToString(deterministic=True) == before


def test_two_rewrites_are_the_same_bytes(plain: dict[str, onnx.ModelProto]) -> None:
    one, other = (
        rewrite(plain["scratch"], (32, 32), mixed).model.SerializeToString(deterministic=True)
        for _ in range(2)
    )
    assert one == other


def test_a_network_that_gains_nowhere_is_an_error(plain: dict[str, onnx.ModelProto]) -> None:
    with pytest.raises(ConfigError, match="no 3x3 convolution of this network would gain at 32x32"):
        rewrite(plain["scratch"], (32, 32), lambda _: ConvAlgorithm.DIRECT)


def test_another_graph_is_an_error(plain: dict[str, onnx.ModelProto]) -> None:
    other = onnx.ModelProto()
    other.CopyFrom(plain["scratch"])
    other.graph.input[0].name = "pixels"
    with pytest.raises(ParityError, match="from 'image' to 'probability', found"):
        rewrite(other, (32, 32))


def test_what_is_not_recognized_stays_on_images() -> None:
    helper = onnx.helper
    rng = np.random.default_rng(0)
    shapes = {"a": (8, 3, 3, 3), "b": (8, 1, 3, 3), "c": (8, 8, 3, 3), "d": (1, 8, 1, 1)}
    weights = [
        onnx.numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    pads, wide = [1, 1, 1, 1], [2, 2, 2, 2]
    nodes = [
        helper.make_node("Conv", ["image", "a"], ["one"], pads=pads),
        helper.make_node("LeakyRelu", ["one"], ["two"]),
        helper.make_node("Conv", ["two", "b"], ["three"], pads=pads, group=8),
        helper.make_node("Conv", ["three", "c"], ["four"], pads=wide, dilations=[2, 2]),
        helper.make_node("MaxPool", ["one"], ["five"], kernel_shape=[3, 3], pads=pads),
        helper.make_node("Add", ["four", "five"], ["six"]),
        helper.make_node("Conv", ["six", "c"], ["seven"], pads=pads),
        helper.make_node("Conv", ["seven", "d"], ["eight"]),
        helper.make_node("Sigmoid", ["eight"], ["probability"]),
    ]
    values = [
        helper.make_tensor_value_info(
            name, onnx.TensorProto.FLOAT, ["batch", channels, "height", "width"]
        )
        for name, channels in (("image", 3), ("probability", 1))
    ]
    graph = helper.make_graph(nodes, "odd", values[:1], values[1:], weights)
    opset = helper.make_opsetid("", 20)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    rewritten = rewrite(model, (18, 22), lambda _: ConvAlgorithm.F4)
    algorithms = {layer.name: layer.algorithm for layer in rewritten.layers}
    assert algorithms == {"a": ConvAlgorithm.F4, "c": ConvAlgorithm.F4}
    images = rng.random((2, 3, 18, 22), dtype=np.float32)
    expected = probabilities(model, images)
    np.testing.assert_allclose(probabilities(rewritten.model, images), expected, atol=1e-4)
