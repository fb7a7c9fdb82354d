import sys
from collections.abc import Iterator

import pytest
import torch

from runtime.core.errors import ConfigError
from train.network import make_network

SOURCE = """
import torch
from torch import nn

class Strided(nn.Module):
    multiple = 8

    def __init__(self, width):
        super().__init__()
        self.encoder = nn.Conv2d(3, width, 8, stride=8)
        self.up = nn.ConvTranspose2d(width, 1, 8, stride=8)

    def forward(self, images):
        return self.up(torch.relu(self.encoder(images)))

def plain(width):
    return nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 1, 1))

def half(width):
    return nn.Conv2d(3, 1, 2, stride=2)

def pair(width):
    class Pair(nn.Conv2d):
        def forward(self, images):
            return images, images
    return Pair(3, 1, 1)

def wide(width):
    return nn.Conv2d(5, 1, 1)

def empty(width):
    return nn.AvgPool2d(1)

def text(width):
    return "a network"

def failing(width):
    raise KeyError("no width")

number = 3
"""


@pytest.fixture(scope="module", autouse=True)
def modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A user's modules in the current folder."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_nets.py").write_text(SOURCE)
    (folder / "own_broken.py").write_text("import nothing_of_this_name")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield
    for name in ("own_nets", "own_broken"):
        sys.modules.pop(name, None)


def test_the_function_gets_the_width_and_its_module_gives_the_logits() -> None:
    network = make_network("own_nets:plain", 5, 50)
    assert network.state_dict()["module.0.weight"].shape == (5, 3, 3, 3)
    module = sys.modules["own_nets"].plain(5)
    module.load_state_dict({n[7:]: v for n, v in network.state_dict().items()})
    images = torch.rand(2, 3, 50, 50)
    torch.testing.assert_close(network(images), module(images))
    assert (network.encoder, network.dynamic_size) == (None, False)


def test_what_the_module_states_of_itself_is_used() -> None:
    network = make_network("own_nets:Strided", 4, 64)
    assert (network.multiple, network.dynamic_size) == (8, True)
    network.freeze_encoder()
    assert [n for n, p in network.named_parameters() if p.requires_grad] == [
        "module.up.weight",
        "module.up.bias",
    ]
    with pytest.raises(ConfigError, match="size: expected a multiple of 8 for own_nets:Strided"):
        make_network("own_nets:Strided", 4, 60)


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ("own_nets:half", r"expected logits of shape \[1, 1, 64, 64\] .* found \[1, 1, 32, 32\]"),
        ("own_nets:pair", r"expected logits of shape \[1, 1, 64, 64\] .* found tuple"),
        ("own_nets:wide", "the network fails on an image of 64x64 .RuntimeError: "),
        ("own_nets:text", r"expected a torch.nn.Module from text\(4\), found str"),
        ("own_nets:failing", r"failing\(4\) failed \(KeyError: 'no width'\)"),
        ("own_nets:missing", "own_nets has no function missing"),
        ("own_nets:number", "own_nets has no function number"),
        ("own_absent:tiny", "cannot import own_absent .ModuleNotFoundError: "),
        ("own_broken:tiny", "cannot import own_broken .ModuleNotFoundError: .*nothing_of_this"),
    ],
)
def test_what_is_no_network_is_refused(arch: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"arch {arch}: {message}"):
        make_network(arch, 4, 64)


def test_the_path_of_imports_stays() -> None:
    before = list(sys.path)
    make_network("own_nets:plain", 2, 16)
    assert sys.path == before


def test_a_network_without_parameters_is_refused() -> None:
    with pytest.raises(ConfigError, match="own_nets:empty: the network has no parameters to train"):
        make_network("own_nets:empty", 4, 64)
