"""Networks of each kind with their graphs, each converted once, since that takes seconds."""

from pathlib import Path

import onnx
import pytest

from export.conversion import convert
from runtime.model.metadata import InputSpec
from tests.support.made_once import MadeOnce
from tests.support.quick_conversion import Convert, side_by_side
from tests.support.seeded_network import seeded_network
from tests.support.small_backbones import use_small_backbones
from train.network import UNet

ENSEMBLE = "scratch+resnet34"
"""The only one of several networks, and with a ResNet."""
Converted = tuple[list[UNet], onnx.ModelProto]


class Conversions:
    """Seeded networks of 64x64 with small encoders, and their graphs, which no test changes.

    Args:
        made_once: where the graphs lie.
        quick_convert: converts the network from scratch.
    """

    def __init__(self, made_once: MadeOnce, quick_convert: Convert) -> None:
        self._made_once = made_once
        self._quick_convert = quick_convert
        self._known: dict[str, Converted] = {}

    def __getitem__(self, name: str) -> Converted:
        """Return what a name of an architecture, or `ENSEMBLE`, stands for."""
        if name not in self._known:
            with pytest.MonkeyPatch.context() as patch:
                use_small_backbones(patch)
                networks = [seeded_network(arch) for arch in name.split("+")]
            spec = InputSpec(64, 64, multiple=0 if name == "swin" else 32)

            def fill(folder: Path) -> None:
                graphs = [self._convert(network, spec) for network in networks]
                onnx.save(side_by_side(graphs), folder / "graph.onnx")

            graph = onnx.load(self._made_once(f"converted-{name}", fill) / "graph.onnx")
            self._known[name] = networks, graph
        return self._known[name]

    def _convert(self, network: UNet, spec: InputSpec) -> onnx.ModelProto:
        return (self._quick_convert if network.arch == "scratch" else convert)([network], spec)
