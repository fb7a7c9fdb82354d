from dataclasses import replace
from pathlib import Path

import pytest
import torch

from runtime.core.errors import ConfigError
from tests.support.small_backbones import use_small_backbones
from train.config import TrainConfig, demo_config
from train.state import choose_device, initialize_state, make_scheduler


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
        unfreeze_epoch=3, unfreeze_learning_rate=1e-3,
    )  # fmt: skip
    state = initialize_state(config, torch.device("cpu"))
    frozen = state.trained_parameters
    for loss in (1.0, 2.0, 3.0):
        state.scheduler.step(loss)
    state.unfreeze_encoder()
    rates = [group["lr"] for group in state.optimizer.param_groups]
    assert rates == pytest.approx([0.1 * 0.1 * 0.1, 1e-3])
    assert state.trained_parameters == sum(p.numel() for p in state.network.parameters()) > frozen
    state.scheduler.step(4.0)
    rates = [group["lr"] for group in state.optimizer.param_groups]
    assert rates == pytest.approx([1e-4, 1e-4])


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
