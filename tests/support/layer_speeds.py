"""Speeds of layers that do not depend on the machine."""

import onnx

from export.variants.layer_speed import LayerSpeed


def fast(names: set[str]) -> object:
    """Measure every layer as faster in INT8, but `names` by too little."""

    def measure(
        _model: object, layers: tuple[onnx.NodeProto, ...], *_: object, **__: object
    ) -> dict[str, LayerSpeed]:
        return {node.name: LayerSpeed(1.0, 0.98 if node.name in names else 0.3) for node in layers}

    return measure
