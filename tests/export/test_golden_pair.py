"""Golden pairs: the scan that tells most, the exact numbers, and the stated tolerance."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from export.golden_pair import choose_scan, onnx_runtime_pair, pytorch_pair
from runtime.data.images import load_scan
from runtime.data.resizing import to_input
from runtime.model.golden import golden_scan
from runtime.model.metadata import InputSpec
from runtime.model.sessions import open_session
from train.network import UNet

SPEC = InputSpec(32, 32, multiple=16)


@pytest.fixture(scope="module")
def networks() -> list[UNet]:
    """Two networks with normalization as after training."""
    made = []
    with torch.random.fork_rng():
        for seed in (1, 2):
            torch.manual_seed(seed)
            network = UNet("scratch", 2)
            for _ in range(3):
                network.train()(torch.rand(4, 3, 32, 32))
            made.append(network.eval())
    return made


@pytest.mark.parametrize("order", [range(8), range(7, -1, -1)])
def test_the_scan_whose_probabilities_vary_most_is_taken(
    model: Path, monkeypatch: pytest.MonkeyPatch, order: range
) -> None:
    monkeypatch.setattr("export.golden_pair.golden_scan", lambda s, n: golden_scan(s, order[n]))
    proto = onnx.load(model)
    session = open_session(proto.SerializeToString(), threads=1)
    spreads = {}
    for number in range(8):
        scan = golden_scan((32, 32), number)
        inputs = to_input(load_scan(scan, (32, 32)).pixels)[None]
        spreads[scan] = float(session.run(None, {"image": inputs})[0].std())
    assert choose_scan(proto, SPEC, 1) == max(spreads, key=spreads.__getitem__)


def test_a_pytorch_pair_holds_the_networks_probabilities_in_float64(networks: list[UNet]) -> None:
    scan = golden_scan((32, 32), 3)
    inputs = torch.from_numpy(to_input(load_scan(scan, (32, 32)).pixels)[None])
    for members in (networks[:1], networks):
        pair = pytorch_pair(scan, members, SPEC, tolerance=1e-5)
        with torch.no_grad():
            exact = [torch.sigmoid(UNet.double(copy_of(n))(inputs.double())) for n in members]
            single = torch.sigmoid(torch.stack([n(inputs) for n in members])).mean(0)
        mean = torch.stack(exact).mean(0)[0, 0].numpy().astype(np.float32)
        np.testing.assert_array_equal(pair.probabilities, mean)
        assert not np.array_equal(pair.probabilities, single[0, 0].numpy())  # nor in float32
        assert (pair.tolerance.largest, pair.tolerance.mean) == (1e-5, 1e-5)
        assert (pair.scan, pair.reference) == (scan, "PyTorch in float64")
    assert all(p.dtype == torch.float32 for n in networks for p in n.parameters())


def copy_of(network: UNet) -> UNet:
    other = UNet(network.arch, network.width)
    other.load_state_dict(network.state_dict())
    return other.eval()


@pytest.mark.parametrize(
    ("largest", "tolerance"), [(0.01, (0.04, 0.01)), (1e-7, (1e-5, 1e-5)), (2e-5, (8e-5, 2e-5))]
)
def test_an_onnx_runtime_pair_allows_four_times_what_optimizations_change(
    monkeypatch: pytest.MonkeyPatch, largest: float, tolerance: tuple[float, float]
) -> None:
    """A quarter of the pixels differs, so that the mean is a quarter of the largest."""
    plain = np.full((1, 1, 32, 32), 0.5, np.float32)
    changed = plain.copy()
    changed[..., ::2, ::2] += np.float32(largest)

    def opened(_content: bytes, *, threads: int, optimize: bool) -> SimpleNamespace:
        assert threads == 3

        def run(_names: list[str], _inputs: object) -> list[NDArray[np.float32]]:
            return [changed if optimize else plain]

        return SimpleNamespace(run=run)

    monkeypatch.setattr("export.golden_pair.open_session", opened)
    pair = onnx_runtime_pair(golden_scan((32, 32), 0), onnx.ModelProto(), SPEC, threads=3)
    np.testing.assert_array_equal(pair.probabilities, plain[0, 0])
    assert (pair.tolerance.largest, pair.tolerance.mean) == pytest.approx(tolerance, rel=0.01)
    assert pair.reference == "ONNX Runtime without optimizations"
