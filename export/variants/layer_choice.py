"""The layers of a network that are worth being INT8: they gain speed and cost no accuracy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from export.variants.layer_speed import measure_layers
from export.variants.quantization import Quantizer
from runtime.core.progress import ProgressCallback, report_progress
from runtime.data.orientation import Size
from runtime.data.resizing import to_input
from runtime.data.samples import Sample
from runtime.model.certificate import UnconvertedLayer
from runtime.model.metadata import INPUT_NAME
from runtime.model.sessions import open_session

Floats = NDArray[np.float32]

LEAST_SAVING = 0.05
"""The share of float32's time that INT8 must save, or the layer stays float32."""
_RANKED_ON = 8


@dataclass(frozen=True, slots=True)
class QuantizedCandidate:
    """A quantized graph, and the layers in it that stay float32."""

    model: onnx.ModelProto
    unconverted: tuple[UnconvertedLayer, ...]


class LayerChoice:
    """Proposes quantized graphs, each with fewer layers in INT8 than the one before.

    Args:
        model: the float32 graph, as `Quantizer` takes it.
        samples: training images; ranges are taken from all of them.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        samples: Sequence[Sample],
        size: Size,
        *,
        threads: int,
        on_progress: ProgressCallback | None = None,
    ) -> None:
        self._model = model
        self._samples = samples
        self._size = size
        self._threads = threads
        self._on_progress = on_progress

    def candidates(self) -> Iterator[QuantizedCandidate]:
        """Yield graphs, first with all layers in INT8 that gain speed.

        Each later graph leaves more of them in float32 (1, 2, 4, ...), beginning with those that
        change the probabilities most.
        """
        quantizer = Quantizer(self._model, self._calibration_images())
        slow = self._without_gain(quantizer)
        layers = [node.name for node in quantizer.layers if node.name not in slow]
        if not layers:
            return
        yield QuantizedCandidate(quantizer.quantize(layers), _with_reasons(quantizer, slow))
        costs = self._costs(quantizer, layers)
        layers.sort(key=costs.__getitem__, reverse=True)
        given_up = 1
        while given_up < len(layers):
            costly = {
                name: "costs accuracy: alone in INT8 it changes probabilities by "
                f"{costs[name]:.1e} on average"
                for name in layers[:given_up]
            }
            model = quantizer.quantize(layers[given_up:])
            yield QuantizedCandidate(model, _with_reasons(quantizer, slow | costly))
            given_up *= 2

    def _calibration_images(self) -> Iterator[Floats]:
        for done, sample in enumerate(self._samples):
            report_progress(
                self._on_progress, "taking ranges of training images", done, len(self._samples)
            )
            yield self._input(sample)

    def _without_gain(self, quantizer: Quantizer) -> dict[str, str]:
        """Return the layers that stay float32 from the first graph on, each with its reason."""
        report_progress(self._on_progress, "timing each layer in float32 and INT8")
        speeds = measure_layers(self._model, quantizer.layers, self._size, threads=self._threads)
        slower = {
            name: f"saves less than {100 * LEAST_SAVING:.0f} % of its time: {speed.int8_ms:.3g} ms "
            f"in INT8, {speed.float_ms:.3g} ms in float32"
            for name, speed in speeds.items()
            if speed.int8_ms > (1 - LEAST_SAVING) * speed.float_ms
        }
        logits = "costs accuracy: its output is the logits, which 8 bits would round"
        return slower | dict.fromkeys(quantizer.heads, logits)

    def _costs(self, quantizer: Quantizer, layers: Sequence[str]) -> dict[str, float]:
        """Return the mean change of probabilities where a layer alone is in INT8."""
        inputs = [self._input(sample) for sample in self._samples[:_RANKED_ON]]
        before = self._probabilities(self._model, inputs)
        costs = {}
        for done, layer in enumerate(layers):
            report_progress(
                self._on_progress, "finding the layers that cost accuracy", done, len(layers)
            )
            after = self._probabilities(quantizer.quantize([layer]), inputs)
            costs[layer] = float(np.abs(after - before).mean())
        return costs

    def _probabilities(self, model: onnx.ModelProto, inputs: Sequence[Floats]) -> Floats:
        session = open_session(model.SerializeToString(), threads=self._threads)
        return np.concatenate([session.run(None, {INPUT_NAME: image})[0] for image in inputs])

    def _input(self, sample: Sample) -> Floats:
        return to_input(sample.load(self._size).pixels)[None]


def _with_reasons(quantizer: Quantizer, reasons: dict[str, str]) -> tuple[UnconvertedLayer, ...]:
    return tuple(
        UnconvertedLayer(node.name, node.input[1], reasons[node.name])
        for node in quantizer.layers
        if node.name in reasons
    )
