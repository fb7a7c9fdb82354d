from dataclasses import replace

import pytest
import torch

from train.config import TrainConfig
from train.determinism import random_states, repeatable, restore_random, seed_epoch

CONFIG = TrainConfig(data="none", width=2, size=16, seed=7, threads=1)
CPU = torch.device("cpu")


def test_several_threads_give_the_same_gradients_every_time() -> None:
    table = torch.zeros(169, 24, requires_grad=True)
    gradients: list[torch.Tensor] = []
    with repeatable(replace(CONFIG, threads=2), CPU):
        index, factors = torch.randint(0, 169, (2401,)), torch.randn(2401, 24)
        for _ in range(60):
            gradients += torch.autograd.grad(table[index], table, factors)
    assert all(torch.equal(gradient, gradients[0]) for gradient in gradients)


def test_settings_and_generators_are_as_before_at_the_end_also_after_an_exception() -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()

    def work() -> None:
        with repeatable(replace(CONFIG, threads=3), CPU):
            assert (torch.get_num_threads(), torch.initial_seed()) == (3, CONFIG.seed)
            assert torch.are_deterministic_algorithms_enabled()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.are_deterministic_algorithms_enabled()


def test_an_epoch_has_draws_of_its_own() -> None:
    def draws(seed: int, epoch: int) -> list[float]:
        seed_epoch(seed, epoch)
        return torch.rand(4).tolist()

    with torch.random.fork_rng():
        assert draws(0, 1) == draws(0, 1)
        assert len({tuple(draws(seed, epoch)) for seed in (0, 1) for epoch in (1, 2)}) == 4


def test_without_a_number_of_threads_all_cores_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.determinism.available_cores", lambda: 5)
    with repeatable(replace(CONFIG, threads=None), CPU):
        assert torch.get_num_threads() == 5


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_state_that_was_saved_without_a_gpu_is_restored_anywhere(device: str) -> None:
    with torch.random.fork_rng():
        states = random_states(torch.device("cpu"))
        expected = torch.rand(3)
        restore_random(states, torch.device(device))
        assert torch.equal(torch.rand(3), expected)
