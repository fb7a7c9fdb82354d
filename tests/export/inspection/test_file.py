"""Odd, damaged and hostile files, and the size that counts are for."""

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from hypothesis import given, settings, strategies as st
from onnx import helper, numpy_helper

from export import inspect
from export.inspection.cli import main
from runtime.core.errors import ConfigError, ModelError, SegmentationError
from runtime.core.schema import to_dict
from tests.support.model_builder import ModelBuilder
from tests.support.onnx_graphs import FLOAT, conv_then, graph_of, normal, saved


def branch(name: str) -> onnx.GraphProto:
    node = helper.make_node("Identity", ["h"], [name])
    return helper.make_graph([node], name, [], [helper.make_tensor_value_info(name, FLOAT, None)])


FUNCTION = helper.make_function(
    "own",
    "F",
    ["a"],
    ["b"],
    [helper.make_node("F", ["a"], ["b"], domain="own")],
    [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)],
)
HIDDEN = {
    "custom": (
        conv_then(helper.make_node("Warp", ["h"], ["g"], name="odd", domain="acme")),
        "a custom operator, not looked into",
    ),
    "unknown": (
        conv_then(helper.make_node("NoSuchOperator", ["h"], ["g"], name="odd")),
        "a custom operator, not looked into",
    ),
    "like a convolution": (
        conv_then(helper.make_node("Conv", ["h", "last.weight"], ["g"], name="odd", domain="acme")),
        "a custom operator, not looked into",
    ),
    "If": (
        conv_then(
            helper.make_node("ReduceMax", ["h"], ["m"], keepdims=0),
            helper.make_node("Cast", ["m"], ["c"], to=onnx.TensorProto.BOOL),
            helper.make_node(
                "If", ["c"], ["g"], name="odd", then_branch=branch("s"), else_branch=branch("t")
            ),
        ),
        "holds a graph of its own, not looked into",
    ),
    "a recursive function": (
        conv_then(
            helper.make_node("F", ["h"], ["g"], name="odd", domain="own"),
            domains=["own"],
            functions=[FUNCTION],
        ),
        "a function of the file, not looked into",
    ),
}


@pytest.mark.parametrize("kind", HIDDEN)
def test_what_is_not_looked_into_is_reported_and_totals_are_lower_bounds(
    kind: str, tmp_path: Path
) -> None:
    model, reason = HIDDEN[kind]
    path = saved(model, tmp_path)
    counts = inspect(path).counts
    (odd,) = [entry for entry in counts.uncounted if entry.name == "odd"]
    assert odd.reason == reason
    assert set(counts.total.lower_bounds) >= {"parameters", "macs", "weight_bytes"}
    assert counts.total.parameters == 108 + 8
    assert counts.layers[0].macs == 108 * 36
    result = CliRunner().invoke(main, [str(path)])
    assert result.exit_code == 0, result.output
    assert "  at least 116 parameters\n" in result.output
    assert reason in result.output


def test_layers_of_unknown_shape_are_named(tmp_path: Path) -> None:
    # The number of values that are not zero is only known once they are.
    model = conv_then(
        helper.make_node("NonZero", ["h"], ["n"]),
        helper.make_node("Shape", ["n"], ["s"]),
        helper.make_node("Slice", ["s", "1", "2"], ["count"]),
        helper.make_node("Concat", ["1", "4", "count", "1"], ["sides"], axis=0),
        helper.make_node("ConstantOfShape", ["sides"], ["g"]),
    )
    for name, value in (("1", 1), ("2", 2), ("4", 4)):
        model.graph.initializer.append(numpy_helper.from_array(np.array([value]), name))
    path = saved(model, tmp_path)
    counts = inspect(path).counts
    assert [(layer.name, layer.macs) for layer in counts.layers] == [
        ("first", 108 * 36),
        ("last", None),
    ]
    assert [(u.name, u.reason) for u in counts.uncounted] == [
        ("last", "has shapes that inference does not find")
    ]
    assert counts.total.lower_bounds == ("macs", "activation_bytes")
    output = CliRunner().invoke(main, [str(path)]).output
    assert "  116 parameters\n  at least 3,888 multiply-accumulates" in output
    assert "last (Conv): has shapes that inference does not find" in output


def test_sizes_that_are_only_claimed_cost_nothing(tmp_path: Path) -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    model = graph_of([node], {"x": (1 << 40, 1 << 20, 4)}, ["y"], {"w": normal(4, 5)})
    layer = inspect(saved(model, tmp_path)).counts.layers[0]
    assert layer.macs == (1 << 60) * 20  # beyond 64 bits
    model.graph.initializer[0].dims[0] = 1 << 40
    with pytest.raises(
        ModelError, match=r"graph\.onnx: damaged tensor 'w' of .* expected 21990232555520 bytes"
    ):
        inspect(saved(model, tmp_path))


@pytest.mark.parametrize("damage", ["text", "cut", "empty", "missing", "folder"])
def test_what_is_no_onnx_file_ends_in_one_sentence(
    damage: str, model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "bad.onnx"
    content = {"text": b"hello", "cut": model.read_bytes()[:-100], "empty": b""}
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes(content[damage])
    earlier = tmp_path / "earlier.json"
    earlier.write_text("an earlier result")
    result = CliRunner().invoke(main, [str(path), "--json", str(earlier)])
    assert result.exit_code == 2
    assert result.output.startswith(f"Error: {path}: expected a")
    assert result.output.count("\n") == 1
    assert earlier.read_text() == "an earlier result"


def test_weights_in_other_files_are_refused(build_onnx: ModelBuilder, tmp_path: Path) -> None:
    path = build_onnx(tmp_path / "external.onnx", external=True)
    with pytest.raises(ModelError, match="expected a file that holds its own weights"):
        inspect(path, size=(8, 8))


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_damaged_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(HIDDEN["If"][0].SerializeToString())
    places = st.integers(0, len(content) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "damaged.onnx"
    path.write_bytes(content)
    with suppress(SegmentationError):
        assert json.dumps(to_dict(inspect(path)))


def test_a_file_of_other_origin_needs_a_size(build_onnx: ModelBuilder, tmp_path: Path) -> None:
    path = build_onnx(tmp_path / "foreign.onnx")
    with pytest.raises(ModelError, match=r"does not state the input's size; give --size"):
        inspect(path)
    inspection = inspect(path, size=(8, 16))
    assert inspection.counted_at[0].shape == (1, 3, 8, 16)
    assert inspection.inputs[0].shape == ("batch", 3, "height", "width")
    assert inspection.counts.total.macs == 3 * 8 * 16
    with pytest.raises(ConfigError, match=r"foreign\.onnx: expected a height and width"):
        inspect(path, size=(0, 8))
    result = CliRunner().invoke(main, [str(path), "--size", "8"])
    assert result.exit_code == 0, result.output
    assert "192 multiply-accumulates" in result.output
    assert "ertificate" not in result.output


def test_a_size_that_a_network_cannot_take_is_refused(
    model: Path, build_onnx: ModelBuilder, tmp_path: Path
) -> None:
    assert CliRunner().invoke(main, [str(model), "--size", "33"]).exit_code == 2
    fixed = build_onnx(tmp_path / "fixed.onnx", shape=(2, 3, 8, 8))
    with pytest.raises(
        ConfigError, match="the input 'pixels' has a fixed side: expected 8, found 16"
    ):
        inspect(fixed, size=(16, 16))
    assert inspect(fixed).counts.total.macs == 2 * 3 * 8 * 8
    vector = graph_of([helper.make_node("Relu", ["x"], ["y"])], {"x": ("n", 4)}, ["y"], {})
    with pytest.raises(ConfigError, match="no input is an image, so that no size can be chosen"):
        inspect(saved(vector, tmp_path), size=(16, 16))
    assert inspect(saved(vector, tmp_path)).counts.total.activation_bytes == 16


def test_channels_may_come_last(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["h"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["h", "w"], ["y"]),
    ]
    model = graph_of(nodes, {"x": ("n", "h", "w", 3)}, ["y"], {"w": normal(4, 3, 1, 1)})
    assert inspect(saved(model, tmp_path), size=(8, 16)).counts.total.macs == 12 * 8 * 16
