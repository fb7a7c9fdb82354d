"""The speed of single layers."""

from export.variants.layer_speed import measure_layers
from export.variants.quantization import Quantizer


def test_layers_of_one_shape_are_timed_once_and_all_are_known(quantizer: Quantizer) -> None:
    model = quantizer.quantize([])
    speeds = measure_layers(model, quantizer.layers, (32, 32), threads=1)
    assert speeds.keys() == {node.name for node in quantizer.layers}
    assert all(min(speed.float_ms, speed.int8_ms) > 0.0 for speed in speeds.values())
