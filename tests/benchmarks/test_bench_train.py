"""What a training step costs, in both memory formats."""

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch.nn.functional import binary_cross_entropy_with_logits

from train.network import UNet


@pytest.mark.benchmark(group="training step, scratch, width 8, 128x128, batch 8")
@pytest.mark.parametrize("layout", ["channels last", "channels first"])
def test_training_step(benchmark: BenchmarkFixture, layout: str) -> None:
    form = torch.channels_last if layout == "channels last" else torch.contiguous_format
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = UNet("scratch", 8).to(memory_format=form)
        images = torch.rand(8, 3, 128, 128).to(memory_format=form)
        masks = torch.randint(2, (8, 1, 128, 128)).float()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)

    def step() -> None:
        optimiser.zero_grad()
        binary_cross_entropy_with_logits(network(images), masks).backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    benchmark.extra_info["parameters"] = sum(p.numel() for p in network.parameters())
    benchmark.pedantic(step, rounds=10, warmup_rounds=2)
