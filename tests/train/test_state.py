import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from runtime.core.errors import ConfigError
from tests.support.small_backbones import use_small_backbones
from train.config import TrainConfig, demo_config
from train.state import (
    TrainState,
    choose_device,
    choose_precision,
    initialize_state,
    make_scheduler,
)


@pytest.fixture
def config(phantom: Path) -> TrainConfig:
    return demo_config(str(phantom), "scratch", width=2, size=16, epochs=3, threads=1)


@pytest.fixture
def small_backbones(monkeypatch: pytest.MonkeyPatch) -> None:
    use_small_backbones(monkeypatch)


def test_an_unfrozen_encoder_starts_at_its_own_rate_however_low_the_others_is(
    config: TrainConfig, small_backbones: None
) -> None:
    config = replace(
        config, arch="resnet34", size=32, freeze_encoder=True, patience=1, learning_rate=0.1,
        unfreeze_epoch=3, unfreeze_learning_rate=4e-3,
    )  # fmt: skip
    state = initialize_state(config, torch.device("cpu"))
    frozen = state.trained_parameters
    for loss in (1.0, 2.0, 3.0):
        state.scheduler.step(loss)
    state.unfreeze_encoder()
    rates = [group["lr"] for group in state.optimizer.param_groups]
    assert rates == pytest.approx([1e-3, 4e-3])
    assert state.trained_parameters == sum(p.numel() for p in state.network.parameters()) > frozen
    state.scheduler.step(4.0)
    rates = [group["lr"] for group in state.optimizer.param_groups]
    assert rates == pytest.approx([1e-4, 4e-4])


def test_the_learning_rate_falls_after_three_epochs_without_a_lower_loss(
    config: TrainConfig,
) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make_scheduler(optimizer, config)
    rates = []
    for loss in (5.0, 4.0, 4.0, 4.5, 4.1, 3.9, 3.8999, 4.0, 4.0, 4.0):
        scheduler.step(loss)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([1.0] * 4 + [0.1] * 4 + [0.1, 0.01])


def test_a_missing_cuda_device_is_named(config: TrainConfig) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(ConfigError, match="device cuda: this machine has no CUDA device"):
        choose_device(replace(config, device="cuda"))


@pytest.mark.parametrize(("tiles", "expected"), [(True, "bf16"), (False, "float32")])
def test_on_a_cpu_auto_is_bf16_where_pytorch_reports_amx_tiles(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, tiles: bool, expected: str
) -> None:
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: tiles)
    cpu = torch.device("cpu")
    assert choose_precision(config, cpu) == expected
    for chosen in ("float32", "bf16"):
        assert choose_precision(replace(config, precision=chosen), cpu) == chosen


def trained(state: TrainState, losses: list[float]) -> list[float]:
    """Step the optimizer and the scheduler with these validation losses; return the rates."""
    rates = []
    for loss in losses:
        state.optimizer.zero_grad()
        state.network(torch.ones(2, 3, 16, 16)).square().mean().backward()
        state.optimizer.step()
        state.scheduler.step(loss)
        rates.append(state.learning_rate)
    return rates


def test_a_restored_state_continues_with_the_optimizers_moments_and_the_schedulers_count(
    config: TrainConfig,
) -> None:
    config = replace(config, patience=3, learning_rate=0.1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, second = (initialize_state(config, torch.device("cpu")) for _ in range(2))
    first.network.train()
    second.network.train()
    trained(first, [1.0, 2.0, 2.0])  # two bad epochs of three
    saved = copy.deepcopy(
        (first.network.state_dict(), first.optimizer.state_dict(), first.scheduler.state_dict())
    )
    second.restore(*saved, "last.pt")
    rates = [trained(state, [2.0, 2.0, 0.5]) for state in (first, second)]
    assert rates[0] == rates[1] == pytest.approx([0.01, 0.01, 0.01])
    for name, value in first.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name]), name


def test_the_optimizer_is_adam_without_decay_of_weights(config: TrainConfig) -> None:
    optimizer = initialize_state(config, torch.device("cpu")).optimizer
    assert type(optimizer) is torch.optim.Adam
    (group,) = optimizer.param_groups
    assert (group["lr"], group["betas"], group["weight_decay"]) == (
        config.learning_rate, (0.9, 0.999), 0.0
    )  # fmt: skip


@pytest.mark.parametrize("channels_last", [True, False])
def test_weights_have_the_layout_that_is_asked_for(
    config: TrainConfig, channels_last: bool
) -> None:
    config = replace(config, channels_last=channels_last)
    network = initialize_state(config, torch.device("cpu")).network
    weight = network.get_parameter("decoder.0.convs.0.weight")
    assert weight.is_contiguous(memory_format=torch.channels_last) is channels_last


def test_bf16_is_used_where_it_is_asked_for(config: TrainConfig) -> None:
    losses = {}
    for precision in ("auto", "float32", "bf16"):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            state = initialize_state(replace(config, precision=precision), torch.device("cpu"))
        loss, _ = state.objective(torch.ones(2, 3, 16, 16), torch.ones(2, 1, 16, 16))
        losses[precision] = loss.item()
    assert losses["auto"] == losses["float32"] != losses["bf16"]
    assert losses["bf16"] == pytest.approx(losses["float32"], rel=0.05)


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_encoders_parameters_are_not_the_optimizers(
    config: TrainConfig, small_backbones: None, frozen: bool
) -> None:
    config = replace(config, arch="resnet34", size=32, freeze_encoder=frozen)
    state = initialize_state(config, torch.device("cpu"))
    assert state.network.encoder is not None
    encoder = sum(parameter.numel() for parameter in state.network.encoder.parameters())
    assert state.parameters - state.trained_parameters == (encoder if frozen else 0)
