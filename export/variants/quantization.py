"""INT8 by ONNX Runtime's static quantizer: QDQ pairs round weights and activations to 8 bits.

Weights are int8 with a scale per channel, and use 7 of their 8 bits. On processors without VNNI,
ONNX Runtime adds pairs of products in 16 bits, which weights of 8 bits would saturate. Activations
are uint8 with a scale per tensor, from the smallest and largest value over the calibration images
(https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
"""

import contextlib
import copy
import io
import logging
import tempfile
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from export.conversion import final_sigmoids
from runtime.model.metadata import INPUT_NAME

METHOD = (
    "INT8: static quantization by ONNX Runtime as QDQ pairs, weights int8 in 7 bits with a scale "
    "per channel, activations uint8 with a scale per tensor from their smallest and largest value"
)
_TYPES = ["Conv", "Relu", "MaxPool", "Add", "Concat", "DepthToSpace"]


class Quantizer:
    """Quantizes a float32 graph, all of its convolutions or some.

    Args:
        model: without 2x2 transposed convolutions, which cannot be INT8
            (`export.variants.pixel_shuffle`).
        images: for calibration, each float32 [1, 3, H, W] in [0, 1].

    Attributes:
        layers: the nodes of the convolutions that can be quantized.
        heads: the names of those whose output is the logits.
    """

    def __init__(self, model: onnx.ModelProto, images: Iterator[NDArray[np.float32]]) -> None:
        self._model = model
        weights = {tensor.name for tensor in model.graph.initializer}
        self.layers: tuple[onnx.NodeProto, ...] = tuple(
            node for node in model.graph.node if node.op_type == "Conv" and node.input[1] in weights
        )
        logits = {sigmoid.input[0] for sigmoid in final_sigmoids(model)}
        self.heads: frozenset[str] = frozenset(
            node.name for node in self.layers if node.output[0] in logits
        )
        self._ranges = _calibrate(model, images)

    def quantize(self, layers: Collection[str]) -> onnx.ModelProto:
        """Return the graph with the convolutions of these nodes in INT8, the others in float32."""
        from onnxruntime.quantization import QDQQuantizer, QuantType

        others = {node.name for node in self.layers} - set(layers)
        others |= _away_from(self._model, set(layers))
        with _quiet():
            quantizer = QDQQuantizer(
                copy.deepcopy(self._model),
                per_channel=True,
                reduce_range=True,
                weight_qType=QuantType.QInt8,
                activation_qType=QuantType.QUInt8,
                tensors_range=self._ranges,
                nodes_to_quantize=[],
                nodes_to_exclude=sorted(others),
                op_types_to_quantize=_TYPES,
                extra_options={},
            )
            quantizer.quantize_model()
            # Restored activations are at the end until the nodes are sorted.
            quantizer.model.topological_sort()
            quantized: onnx.ModelProto = quantizer.model.model
        quantized.producer_name, quantized.producer_version = self._model.producer_name, ""
        onnx.checker.check_model(quantized, full_check=True)
        return quantized


def _away_from(model: onnx.ModelProto, layers: set[str]) -> set[str]:
    """Return the nodes that are neither convolutions nor connected with one of `layers`.

    Connections lead over other nodes that are no convolutions. In 8 bits, unconnected nodes would
    cost accuracy and gain nothing.
    """
    others = {n.name: n for n in model.graph.node if n.op_type in _TYPES and n.op_type != "Conv"}
    touched = [node for node in model.graph.node if node.name in layers]
    near: set[str] = set()
    while touched:
        node = touched.pop()
        values = {*node.input, *node.output}
        found = [
            other
            for name, other in others.items()
            if name not in near and not values.isdisjoint((*other.input, *other.output))
        ]
        near |= {other.name for other in found}
        touched += found
    return others.keys() - near


def _calibrate(model: onnx.ModelProto, images: Iterator[NDArray[np.float32]]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader, create_calibrator

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            image = next(images, None)
            return None if image is None else {INPUT_NAME: image}

    with _quiet(), tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "model.onnx"
        onnx.save(model, source)
        calibrator = create_calibrator(
            source, _TYPES, augmented_model_path=str(Path(folder) / "augmented.onnx")
        )
        calibrator.collect_data(Reader())
        return calibrator.compute_data()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the quantizer's prints, logs and warnings; its result is checked instead."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
