"""The memory of a step: against what a step takes, and the refusal of one that does not fit."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from runtime.core.errors import ConfigError
from tests.support.small_backbones import use_small_backbones
from train.architectures import ARCHITECTURES
from train.config import TrainConfig, study_config
from train.run import train_network
from train.state import initialize_state
from train.step_memory import step_memory

CPU = torch.device("cpu")


@pytest.fixture
def small_backbones(monkeypatch: pytest.MonkeyPatch) -> None:
    use_small_backbones(monkeypatch)


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def peak_memory(step: Callable[[], None]) -> int:
    """The most bytes that PyTorch holds of what a step takes, by the records of its allocator."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as records:
        step()
    taken = [e for e in records.profiler.kineto_results.events() if e.name() == "[memory]"]
    taken.sort(key=lambda event: event.start_ns())
    return int(np.cumsum([event.nbytes() for event in taken]).max())


def test_a_step_takes_about_what_is_told() -> None:
    config = TrainConfig("scans", width=16, size=96, batch_size=4, threads=1)
    state = initialize_state(config, CPU)
    told = step_memory(state, 4)
    images = torch.rand(4, 3, 96, 96).contiguous(memory_format=torch.channels_last)
    masks = torch.zeros(4, 1, 96, 96)
    state.network.train()

    def two_steps() -> None:  # the optimizer's moments appear in the first
        for _ in range(2):
            state.optimizer.zero_grad()
            loss, _ = state.objective(images, masks)
            loss.backward()  # type: ignore[no-untyped-call]
            state.optimizer.step()

    weights = sum(parameter.nbytes for parameter in state.network.parameters())
    assert told == pytest.approx(weights + peak_memory(two_steps), rel=0.1)


@pytest.mark.parametrize("arch", ["scratch", "resnet34", "swin"])
@pytest.mark.usefixtures("small_backbones")
def test_it_grows_with_the_images_and_shrinks_with_what_is_frozen(arch: str) -> None:
    config = study_config("scans", arch, encoder_weights="none", width=4, size=64)
    state = initialize_state(config, CPU)
    told = [step_memory(state, images) for images in (0, 8, 16)]
    assert told[1] - told[0] == pytest.approx(told[2] - told[1], abs=1)
    weights = sum(p.nbytes for p in state.network.parameters())
    assert 3 * weights <= told[0] < 4 * weights
    if ARCHITECTURES[arch].pretrained:
        frozen = initialize_state(replace(config, freeze_encoder=True), CPU)
        assert step_memory(frozen, 8) < told[1]


def test_counting_leaves_a_network_and_the_random_state_as_they_were() -> None:
    config = TrainConfig("scans", width=4, size=32, threads=1)
    state = initialize_state(config, CPU)
    before = {name: value.clone() for name, value in state.network.state_dict().items()}
    random = torch.get_rng_state()
    state.network.train()
    bf16 = replace(state, config=replace(config, precision="bf16"))
    assert step_memory(bf16, 100) < 0.75 * step_memory(state, 100)
    assert state.network.training
    assert torch.equal(torch.get_rng_state(), random)
    for name, value in state.network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_large_image_is_counted_in_proportion() -> None:
    small, large = (
        initialize_state(TrainConfig("scans", width=1, size=size), CPU) for size in (256, 1024)
    )
    assert step_memory(large, 10) == pytest.approx(step_memory(small, 160), rel=0.02)


def test_a_step_that_cannot_fit_is_refused_before_an_image_is_decoded(
    phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainConfig(str(phantom), width=4, size=64, batch_size=8, epochs=1, threads=1)
    needed = step_memory(initialize_state(config, CPU), 8)
    monkeypatch.setattr("train.step_memory.free_memory", lambda: needed - 1)
    with pytest.raises(
        ConfigError, match=r"^batch_size: a step of 8 images at 64x64 needs at least 0\.0 GB of "
        r"memory, and 0\.0 GB are free; give a smaller --batch-size$",
    ):  # fmt: skip
        train_network(config, tmp_path / "run", cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    monkeypatch.setattr("train.step_memory.free_memory", lambda: None)
    train_network(config, tmp_path / "run", cache=tmp_path / "cache")
