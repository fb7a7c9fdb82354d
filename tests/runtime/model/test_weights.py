"""Weights of ONNX files, against the package onnx."""

from pathlib import Path

import numpy as np
import pytest

from runtime.core.errors import ModelError
from runtime.model.weights import Floats, with_weights

onnx = pytest.importorskip("onnx")

VALUES = np.arange(6, dtype=np.float32).reshape(2, 3)


def file_of(path: Path, *tensors: object) -> Path:
    graph = onnx.helper.make_graph([], "weights", [], [], list(tensors))
    path.write_bytes(onnx.helper.make_model(graph).SerializeToString())
    return path


def weights_of(content: bytes) -> dict[str, Floats]:
    tensors = onnx.load_model_from_string(content).graph.initializer
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in tensors}


def test_float32_in_raw_bytes_is_changed_in_its_shape_and_nothing_else(tmp_path: Path) -> None:
    path = file_of(
        tmp_path / "m.onnx",
        onnx.numpy_helper.from_array(VALUES, "raw"),
        onnx.helper.make_tensor("listed", onnx.TensorProto.FLOAT, [2], [1.0, 2.0]),
        onnx.numpy_helper.from_array(np.array([7, 8]), "whole"),
    )
    seen: list[tuple[int, ...]] = []

    def change(values: Floats) -> Floats:
        seen.append(values.shape)
        return np.asarray(values[::-1] + 0.5)

    before, after = weights_of(path.read_bytes()), weights_of(with_weights(path, change))
    assert seen == [(2, 3)]
    np.testing.assert_array_equal(after["raw"], VALUES[::-1] + 0.5)
    for name in ("listed", "whole"):
        np.testing.assert_array_equal(after[name], before[name])


def test_without_a_change_the_content_is_that_of_the_file(model: Path) -> None:
    assert with_weights(model, lambda values: values) == model.read_bytes()


def test_bytes_that_do_not_fill_the_shape_are_refused(tmp_path: Path) -> None:
    tensor = onnx.numpy_helper.from_array(VALUES, "short")
    tensor.raw_data = tensor.raw_data[:-4]
    with pytest.raises(ModelError, match=r"m\.onnx: .*do not fill its shape"):
        with_weights(file_of(tmp_path / "m.onnx", tensor), lambda values: values)
