"""The compiled objective against the plain one, and runs that are trained with it."""

import copy
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor

from runtime.core.errors import ConfigError, StoppedError
from runtime.core.progress import Progress
from tests.support.tiny_network import tiny_network
from train.checkpoint import load_checkpoint
from train.config import TrainConfig, demo_config
from train.data import Batches, DecodedSplit
from train.epoch import train_epoch
from train.network import UNet
from train.objective import make_objective
from train.run import train_network
from train.state import initialize_state

CPU = torch.device("cpu")

needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None, reason="torch.compile needs g++ on the CPU"
)


@pytest.fixture
def config(phantom: Path) -> TrainConfig:
    return demo_config(str(phantom), "scratch", width=2, size=16, epochs=2, threads=1, compile=True)


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    torch.compiler.reset()


def batch(images: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(images)
    scans = torch.rand(images, 3, 16, 16, generator=generator)
    masks = torch.rand(images, 1, 16, 16, generator=generator) > 0.8
    return scans.to(memory_format=torch.channels_last), masks.float()


def step(network: UNet, config: TrainConfig, images: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the loss, the sums, and all gradients as one vector."""
    loss, sums = make_objective(network, config, CPU, torch.float32)(*batch(images))
    loss.backward()  # type: ignore[no-untyped-call]
    found = [p.grad.flatten() for p in network.parameters() if p.grad is not None]
    return loss.detach(), sums, torch.cat(found)


def small_network() -> UNet:
    """A stand-in for the UNet, which takes half a minute to compile."""
    return cast(UNet, tiny_network(4).to(memory_format=torch.channels_last))


@needs_compiler
def test_compiled_it_gives_the_same(config: TrainConfig) -> None:
    torch.manual_seed(0)
    network = small_network()
    for images in (config.batch_size, config.batch_size - 1):  # the smaller one is not compiled
        plain = step(copy.deepcopy(network), replace(config, compile=False), images)
        loss, sums, gradient = step(copy.deepcopy(network), config, images)
        torch.testing.assert_close(loss, plain[0], rtol=1e-5, atol=0.0)
        torch.testing.assert_close(sums, plain[1], rtol=1e-5, atol=1e-4)
        off = float((gradient - plain[2]).norm() / plain[2].norm())
        assert off < 1e-3
        assert (off == 0.0) is (images < config.batch_size)


def test_a_compiled_run_that_was_stopped_ends_as_one_that_was_not(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The graph is captured as usual, but no kernels are made of it, which would take a minute.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    config = replace(config, arch="tests.support.tiny_network:tiny_network")
    whole, parts, cache = tmp_path / "whole", tmp_path / "parts", tmp_path / "cache"
    expected = train_network(config, whole, cache=cache)
    steps: list[Progress] = []
    with pytest.raises(StoppedError):
        train_network(
            config, parts, cache=cache, on_progress=steps.append,
            stop=lambda: steps[-1].phase == "train" and steps[-1].done == 2,
        )  # fmt: skip
    with pytest.raises(ConfigError, match="expected a run with compile False, found one with True"):
        train_network(replace(config, compile=False), parts, cache=cache, resume=True)
    train_network(config, parts, cache=cache, resume=True)
    first, second = (load_checkpoint(folder / "last.pt") for folder in (whole, parts))
    assert first.config.compile
    for name, value in first.weights.items():
        assert torch.equal(value, second.weights[name]), name
    assert expected.history[-1].train_loss < expected.history[0].train_loss


def test_a_machine_that_cannot_compile_gets_the_reason(config: TrainConfig) -> None:
    from torch._inductor import config as inductor

    words = r"^compile: torch\.compile does not work on this machine: .*compiler.*$"
    with (
        inductor.patch({"cpp.cxx": (None, "no-such-compiler")}),
        pytest.raises(ConfigError, match=words),
    ):
        step(small_network(), config, config.batch_size)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_cuda_device_is_waited_for_at_the_end_of_an_epoch_alone(
    config: TrainConfig, compiled: bool
) -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    device = torch.device("cuda")
    state = initialize_state(replace(config, compile=compiled, precision="bf16"), device)
    waits = []
    for steps in (2, 2, 16):  # the first time, kernels are compiled and loaded
        images = np.zeros((steps * config.batch_size, 16, 16, 3), np.uint8)
        split = DecodedSplit(("scan",) * len(images), images, images[..., :2, 0].copy())
        batches = Batches(split, config.batch_size, device)
        torch.cuda.set_sync_debug_mode("warn")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            train_epoch(state, batches, 1)
        torch.cuda.set_sync_debug_mode("default")
        waits.append(sum("synchroniz" in str(warning.message) for warning in caught))
    assert 0 < waits[1] == waits[2]
