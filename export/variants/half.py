"""FP16 storage: weights as half precision in the file, arithmetic in float32."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

METHOD = "weights stored in half precision (IEEE 754 binary16), arithmetic in float32"
_LARGEST = float(np.finfo(np.float16).max)
_SMALLEST = 256
"""Smaller tensors stay float32. They are biases, under one per cent of the values."""


def store_half(model: onnx.ModelProto) -> tuple[onnx.ModelProto, tuple[tuple[str, str], ...]]:
    """Return a graph whose weights are stored in half precision, and the weights left in float32.

    Each weight is followed by a Cast to float32, which ONNX Runtime folds when it loads the file. A
    prediction takes as long as before, on any processor.

    Returns:
        The graph, and the name and reason for each weight of at least 256 values left in float32.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    casts, left = [], []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != onnx.TensorProto.FLOAT or values.size < _SMALLEST:
            continue
        largest = float(np.abs(values).max())
        if not largest <= _LARGEST:
            left.append((tensor.name, f"a value of {largest:.3g} is beyond half precision"))
            continue
        half = f"{tensor.name}.half"
        casts.append(
            helper.make_node(
                "Cast", [half], [tensor.name], f"{tensor.name}/Cast", to=onnx.TensorProto.FLOAT
            )
        )
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(changed, full_check=True)
    return changed, tuple(left)
