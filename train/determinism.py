"""Settings, seeds and random generators by which a run gives the same result twice."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from runtime.core.machine import available_cores
from train.config import TrainConfig


@contextmanager
def repeatable(config: TrainConfig, device: torch.device) -> Iterator[None]:
    """Seed PyTorch and make it deterministic; at the end, everything is as it was before."""
    threads = torch.get_num_threads()
    strict = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_num_threads(config.threads or available_cores())
    if device.type == "cpu":
        # Otherwise threads may sum the gradient of an indexed table, such as Swin's table of
        # positions, in any order. CUDA sums it in a fixed order; there this setting would forbid
        # more than is needed.
        torch.use_deterministic_algorithms(True)
    try:
        with (
            torch.random.fork_rng(),
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True),
        ):
            torch.manual_seed(config.seed)
            yield
    finally:
        torch.use_deterministic_algorithms(strict, warn_only=warn_only)
        torch.set_num_threads(threads)


def seed_epoch(seed: int, epoch: int) -> None:
    """Seed PyTorch's generators, so that an epoch's draws do not depend on earlier epochs."""
    (state,) = np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)
    torch.manual_seed(int(state))


def random_states(device: torch.device) -> tuple[Tensor, ...]:
    """Return the state of the CPU's generator and, for a CUDA device, that of the device's.

    Example:
        >>> import torch
        >>> cpu = torch.device("cpu")
        >>> states = random_states(cpu)
        >>> first = torch.rand(3)
        >>> restore_random(states, cpu)
        >>> torch.equal(torch.rand(3), first)
        True
    """
    on_device = (torch.cuda.get_rng_state(device),) if device.type == "cuda" else ()
    return (torch.get_rng_state(), *on_device)


def restore_random(states: Sequence[Tensor], device: torch.device) -> None:
    """Set the generators to the states that `random_states` returned.

    Raises:
        RuntimeError, TypeError: a tensor is not a generator's state.
    """
    torch.set_rng_state(states[0])
    if device.type == "cuda" and len(states) > 1:
        torch.cuda.set_rng_state(states[1], device)
