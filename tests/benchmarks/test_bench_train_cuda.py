"""What the study's training takes on a CUDA device, and how much of the device it uses."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.flop_counter import FlopCounterMode

from train.config import TrainConfig, study_config
from train.data import Batches, DecodedSplit
from train.determinism import repeatable
from train.epoch import train_epoch, validate
from train.state import choose_device, initialize_state

TRAIN, VALID = 1502, 429
"""Images in the splits of the study's data set."""
SIDE = 8192

Epoch = Callable[[], None]

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


def split(images: int, size: int) -> DecodedSplit:
    random = np.random.default_rng(images)
    scans = random.integers(0, 256, (images, size, size, 3), np.uint8)
    masks = random.integers(0, 256, (images, size, size // 8), np.uint8)
    return DecodedSplit(tuple(str(index) for index in range(images)), scans, masks)


def toolkit(config: TrainConfig, train: Batches, valid: Batches) -> Epoch:
    state = initialize_state(config, choose_device(config))

    def epoch() -> None:
        train_epoch(state, train, 1)
        validate(state, valid, 1)

    return epoch


def plain(config: TrainConfig, train: Batches, valid: Batches) -> Epoch:
    """A loop in float32 that reads each loss; its data lie on the device, too."""
    network = initialize_state(replace(config, channels_last=False), train.device).network
    optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate)

    def epoch() -> None:
        network.train()
        for images, masks in train.load(train.indices(shuffled_by=(0, 1))):
            optimizer.zero_grad()
            loss = binary_cross_entropy_with_logits(network(images.contiguous()), masks)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            loss.item()
        network.eval()
        with torch.no_grad():
            for images, masks in valid.load(valid.indices()):
                binary_cross_entropy_with_logits(network(images.contiguous()), masks).item()

    return epoch


def operations(config: TrainConfig, device: torch.device) -> float:
    """Return the floating-point operations of an epoch: of its convolutions, there and back."""
    network = initialize_state(replace(config, compile=False), device).network
    images = torch.rand(1, 3, config.size, config.size, device=device)
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        network.eval()(images)
    with FlopCounterMode(display=False) as both:
        network.train()(images.expand(2, -1, -1, -1)).sum().backward()
    return float(TRAIN * both.get_total_flops() / 2 + VALID * forward.get_total_flops())


def matrix_rate(device: torch.device) -> float:
    """Return the operations a second of a large matrix product in bf16, best of 20."""
    one, other = torch.rand(2, SIDE, SIDE, device=device, dtype=torch.bfloat16)
    found = []
    for _ in range(20):
        start = time.perf_counter()
        one @ other
        torch.cuda.synchronize()
        found.append(time.perf_counter() - start)
    return 2 * SIDE**3 / min(found)


@pytest.mark.benchmark(group="training epoch on CUDA, scratch, 256x256, batch 32, 1502 + 429 scans")
@pytest.mark.parametrize("what", ["toolkit, compiled", "toolkit", "plain, float32"])
def test_training_epoch_on_cuda(benchmark: BenchmarkFixture, what: str) -> None:
    """With `--benchmark-json FILE`, the rates stand under "extra_info"."""
    config = study_config("none", "scratch", compile="compiled" in what)
    device = torch.device("cuda")
    train, valid = (
        Batches(split(images, config.size), config.batch_size, device) for images in (TRAIN, VALID)
    )
    make, setting = (
        (plain, nullcontext()) if "plain" in what else (toolkit, repeatable(config, device))
    )
    seconds: list[float] = []
    with setting:
        epoch = make(config, train, valid)

        def timed() -> None:
            start = time.perf_counter()
            epoch()
            seconds.append(time.perf_counter() - start)

        benchmark.pedantic(timed, rounds=3, warmup_rounds=1)
        rate = operations(config, device) / min(seconds)
    benchmark.extra_info["25 epochs, s"] = round(25 * min(seconds), 1)
    benchmark.extra_info["TFLOP/s"] = round(rate / 1e12, 1)
    benchmark.extra_info["of a bf16 matrix product"] = round(rate / matrix_rate(device), 3)
