"""Losses read behind the device: on the CPU at once, on a CUDA device when they have arrived."""

import time
from types import SimpleNamespace

import pytest
import torch

from train.step_losses import StepLosses


def test_on_the_cpu_a_loss_is_known_at_once() -> None:
    losses = StepLosses(4, torch.device("cpu"))
    losses.extend(torch.tensor([3.0, 2.0]))
    weight = torch.tensor(1.5, requires_grad=True)
    losses.extend(weight * 1.0)
    assert losses.known() == [3.0, 2.0, 1.5]
    assert losses.all().tolist() == [3.0, 2.0, 1.5]
    assert not losses.all().requires_grad


class SlowEvent:
    """Stands in for `torch.cuda.Event`: passed when the test says so."""

    passed = True

    def record(self) -> None:
        SlowEvent.passed = False

    def query(self) -> bool:
        return SlowEvent.passed


def test_a_loss_is_known_when_its_copy_has_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    def zeros(count: int, **_: object) -> torch.Tensor:
        return torch.zeros(count)

    fake = SimpleNamespace(zeros=zeros, cuda=SimpleNamespace(Event=SlowEvent))
    monkeypatch.setattr("train.step_losses.torch", fake)
    losses = StepLosses(4, torch.device("cuda"))
    seen = []
    for step in range(4):
        losses.extend(torch.tensor(float(step)))
        SlowEvent.passed = step != 1  # the copy that began after step 0 takes two steps
        seen.append(losses.known())
    assert seen == [[], [], [0.0], [0.0, 1.0, 2.0]]
    assert losses.all().tolist() == [0.0, 1.0, 2.0, 3.0]


def test_a_cuda_device_is_not_waited_for() -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    losses = StepLosses(8, torch.device("cuda"))
    factor = torch.rand(8192, 8192, device="cuda")
    for _ in range(8):
        losses.extend((factor @ factor).mean())
        losses.known()
    assert len(losses.known()) < 8
    torch.cuda.synchronize()
    deadline = time.monotonic() + 10.0
    while len(losses.known()) < 8 and time.monotonic() < deadline:
        pass
    assert losses.known() == losses.all().tolist()
