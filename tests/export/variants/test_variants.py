"""Forms of a graph: half storage, pixel shuffles, INT8, each against what it must compute."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import yaml
from click.testing import CliRunner
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from export.cli import main
from export.conversion import ensure_standard
from export.inspection.file import inspect
from export.model_file import model_card
from export.onnx_export import export_checkpoints
from export.request import ExportRequest, default_output
from export.variants.half import store_half
from export.variants.layer_choice import LayerChoice
from export.variants.layer_speed import LayerSpeed, measure_layers
from export.variants.pixel_shuffle import shuffle_pixels
from export.variants.quantization import Quantizer
from export.variants.variants import int8_variants
from runtime.core.errors import ParityError
from runtime.data.coco import Dataset
from runtime.data.images import load_scan
from runtime.data.resizing import to_input
from runtime.data.samples import Sample
from runtime.model.metadata import InputSpec
from runtime.model.onnx_file import read_onnx
from runtime.model.predictor import Predictor
from runtime.model.verification import verify
from tests.support.quick_conversion import Convert
from train.network import UNet

SPEC = InputSpec(32, 32, multiple=16)
IMAGES = np.random.default_rng(0).random((2, 3, 32, 32), np.float32)


def run(model: onnx.ModelProto, images: NDArray[np.float32] = IMAGES) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    output: NDArray[np.float32] = session.run(None, {"image": images})[0]
    return output


def weights_of(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


@pytest.fixture(scope="module")
def plain(converted_run: onnx.ModelProto) -> onnx.ModelProto:
    return converted_run


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


@pytest.fixture(scope="module")
def quantizer(plain: onnx.ModelProto) -> Quantizer:
    rng = np.random.default_rng(1)
    images = (rng.random((1, 3, 32, 32), np.float32) for _ in range(4))
    return Quantizer(shuffle_pixels(plain), images)


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


def test_layers_of_one_shape_are_timed_once_and_all_are_known(quantizer: Quantizer) -> None:
    model = quantizer.quantize([])
    speeds = measure_layers(model, quantizer.layers, (32, 32), threads=1)
    assert speeds.keys() == {node.name for node in quantizer.layers}
    assert all(min(speed.float_ms, speed.int8_ms) > 0.0 for speed in speeds.values())


def choice(model: onnx.ModelProto, data: Dataset) -> LayerChoice:
    return LayerChoice(
        shuffle_pixels(model),
        data.split("train").samples,
        (32, 32),
        threads=1,
        on_progress=None,
    )


def fast(names: set[str]) -> object:
    """Measure every layer as faster in INT8, but `names` by too little."""

    def measure(
        _model: object, layers: tuple[onnx.NodeProto, ...], *_: object, **__: object
    ) -> dict[str, LayerSpeed]:
        return {node.name: LayerSpeed(1.0, 0.98 if node.name in names else 0.3) for node in layers}

    return measure


def test_a_layer_without_gain_and_the_logits_stay_float32(
    plain: onnx.ModelProto, phantom_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = "network.encoder.levels.0.1/Conv"
    monkeypatch.setattr("export.variants.layer_choice.measure_layers", fast({slow}))
    first = next(choice(plain, phantom_data).candidates())
    reasons = {layer.name: layer.reason for layer in first.unconverted}
    assert reasons.keys() == {slow, "network.head/Conv"}
    assert reasons[slow] == "saves less than 5 % of its time: 0.98 ms in INT8, 1 ms in float32"
    assert "logits" in reasons["network.head/Conv"]
    assert first.unconverted[0].weight == "network.encoder.levels.0.0.weight"


def test_the_layers_that_cost_accuracy_are_found(
    phantom_data: Dataset, quick_convert: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One channel a thousand times as large and read a thousand times as weakly is the same network
    # in float32; in eight bits the other channels of that feature vanish.
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = UNet("scratch", 4)
        network.train()(torch.rand(4, 3, 32, 32))
    network.eval()
    samples = phantom_data.split("train").samples
    inputs = np.stack([to_input(load_scan(sample.path, (32, 32)).pixels) for sample in samples])
    with torch.no_grad():
        _, norm, _, reader, *_ = network.decoder[2].convs  # type: ignore[misc]
        norm.weight[0] *= 1e3
        norm.bias[0] *= 1e3
        reader.weight[:, 0] /= 1e3
        logits = network(torch.from_numpy(inputs))  # spread, so that a change shows
        network.head.weight.mul_(4.0 / logits.std())
        network.head.bias.sub_(logits.mean()).mul_(4.0 / logits.std())  # type: ignore[union-attr]
    monkeypatch.setattr("export.variants.layer_choice.measure_layers", fast(set()))
    model = quick_convert([network], SPEC)
    candidates = choice(model, phantom_data).candidates()
    proposed = [{layer.name for layer in candidate.unconverted} for candidate in candidates]
    head = {"network.head/Conv"}
    assert [len(kept - head) for kept in proposed] == [0, 1, 2, 4, 8, 16]
    both = {"network.decoder.2.convs.1/Conv", "network.decoder.2.convs.4/Conv"}
    assert proposed[2] == head | both
    for fewer, more in pairwise(proposed):
        assert fewer < more


def test_ranges_are_taken_from_images_of_the_whole_train_split(
    plain: onnx.ModelProto, phantom_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = phantom_data.split("train")
    samples = [replace(train.samples[0], file_name=str(number)) for number in range(200)]
    splits = {**phantom_data.splits, "train": replace(train, samples=tuple(samples))}
    taken: list[int] = []

    class Choice:
        def __init__(self, _model: object, samples: Sequence[Sample], *_: object, **__: object):
            taken.extend(int(sample.file_name) for sample in samples)

        def candidates(self) -> Iterator[object]:
            return iter(())

    monkeypatch.setattr("export.variants.variants.LayerChoice", Choice)
    assert list(int8_variants(plain, SPEC, replace(phantom_data, splits=splits), threads=1)) == []
    assert (taken[0], taken[-1], len(taken)) == (0, 199, 64)
    assert set(np.diff(taken)) == {3, 4}


@pytest.fixture(scope="module")
def int8(
    run_folder: Path,
    phantom: Path,
    converted_once: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A file whose layers do not depend on the speed of this machine: all but the head in INT8."""
    output = tmp_path_factory.mktemp("int8") / "tiny-int8.onnx"
    request = ExportRequest(
        [run_folder / "best.pt"],
        output,
        data=phantom,
        precision="int8",
        threads=1,
        license="CC-BY-NC-4.0",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("export.variants.layer_choice.measure_layers", fast(set()))
        return export_checkpoints(request).file.path


def test_an_int8_file_is_certified_and_states_what_it_is(int8: Path, model: Path) -> None:
    file, plain = read_onnx(int8), read_onnx(model)
    about = file.metadata
    assert about is not None
    assert about.precision == "int8"
    assert about.license == "CC-BY-NC-4.0"
    assert about.conversion is not None
    assert about.parity is not None
    assert about.conversion.plain_digest == plain.digest
    fall = about.conversion.soft_iou_before - about.conversion.soft_iou_after
    assert fall <= about.conversion.soft_iou_fall_allowed == 0.005
    assert about.conversion.calibration.startswith("16 images of phantom")
    assert "network.head/Conv" in {layer.name for layer in about.conversion.unconverted}
    assert about.parity.tolerance_probability is None
    assert about.parity.max_probability > 1e-5
    assert verify(int8).passed
    onnx.checker.check_model(onnx.load(int8), full_check=True)
    ensure_standard(onnx.load(int8))
    counted, expected = inspect(int8).counts.total, inspect(model).counts.total
    assert (counted.macs, counted.parameters) == (
        expected.macs,
        # An upsampling's bias is stored for each of its four pixels.
        expected.parameters + 3 * sum(4 * 2**level for level in range(4)),
    )


def test_an_int8_file_takes_any_batch_and_size(int8: Path) -> None:
    predictor = Predictor(int8, threads=1)
    images = np.random.default_rng(0).random((8, 3, 48, 64), np.float32)
    together = predictor.run(images)
    for image, output in zip(images, together, strict=True):
        np.testing.assert_allclose(predictor.run(image[None])[0], output, atol=1e-6)


def test_the_card_of_an_int8_file_says_what_was_changed(int8: Path) -> None:
    file = read_onnx(int8)
    card = int8.with_suffix(".md").read_text()
    assert card == model_card(file)
    _, front, body = card.split("---\n", 2)
    results = yaml.safe_load(front)["model-index"][0]["results"]
    (metric,) = results[-1]["metrics"]
    assert file.metadata is not None
    assert file.metadata.conversion is not None
    assert metric["type"] == "soft_iou_pooled"
    assert metric["value"] == pytest.approx(file.metadata.conversion.soft_iou_after, abs=1e-6)
    assert "## INT8" in body
    assert yaml.safe_load(front)["license"] == "cc-by-nc-4.0"
    assert "The network's license is CC-BY-NC-4.0." in body
    for layer in file.metadata.conversion.unconverted:
        assert f"- Not converted: `{layer.name}`, {layer.reason}." in body


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_a_variant_that_costs_too_much_is_not_written(
    precision: str,
    run_folder: Path,
    phantom: Path,
    tmp_path: Path,
    converted_once: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("export.variants.variants.ALLOWED_FALL", -1.0)
    monkeypatch.setattr("export.variants.layer_choice.measure_layers", fast(set()))
    with pytest.raises(
        ParityError,
        match=rf"{precision} costs too much accuracy: .* falls by .*, at most -1 is allowed",
    ):
        export_checkpoints(
            ExportRequest(
                [run_folder / "best.pt"],
                tmp_path / "m.onnx",
                data=phantom,
                precision=precision,  # type: ignore[arg-type]
                threads=1,
            )
        )
    assert list(tmp_path.iterdir()) == []


def test_the_command_names_files_after_their_precision(
    run_folder: Path, phantom: Path, converted_once: None, tmp_path: Path
) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "best.pt").write_bytes((run_folder / "best.pt").read_bytes())
    assert default_output(folder / "best.pt") == tmp_path / "tiny.onnx"
    arguments = [str(folder), "--precision", "fp16", "--data", str(phantom)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    path = tmp_path / "tiny-fp16.onnx"
    assert f"{path}: " in result.output
    assert "of the float32 file's size" in result.output
    found = verify(path)
    assert found.passed
    assert found.difference is not None
    about = read_onnx(path).metadata
    assert about is not None
    assert (about.name, about.precision) == ("tiny-fp16", "fp16")
    assert about.conversion is not None
