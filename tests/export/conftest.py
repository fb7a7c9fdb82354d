"""What the tests of export share: graphs that are converted once, since each takes seconds."""

import copy
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

from export.conversion import convert
from runtime.model.metadata import InputSpec
from tests.support.made_once import MadeOnce
from tests.support.seeded_network import seeded_network
from train.network import UNet


@pytest.fixture(scope="session")
def converted(made_once: MadeOnce) -> dict[str, tuple[UNet, onnx.ModelProto]]:
    """A network from scratch and one with a ResNet50, with their graphs, which no test changes."""
    networks = {arch: seeded_network(arch) for arch in ("scratch", "resnet50")}

    def fill(folder: Path) -> None:
        for arch, network in networks.items():
            onnx.save(convert([network], InputSpec(64, 64, multiple=32)), folder / f"{arch}.onnx")

    folder = made_once("converted", fill)
    return {arch: (net, onnx.load(folder / f"{arch}.onnx")) for arch, net in networks.items()}


@pytest.fixture(scope="module")
def converted_once(converted_run: onnx.ModelProto) -> Iterator[None]:
    """Exports of the run's network take its graph as it was converted before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("export.pipeline.convert", lambda *_: copy.deepcopy(converted_run))
        yield
