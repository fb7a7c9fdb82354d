"""PyTorch's random generators: seeded for each epoch, read and set within one."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def seed_epoch(seed: int, epoch: int) -> None:
    """Seed PyTorch's generators, so that an epoch's draws do not depend on those before it."""
    (state,) = np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)
    torch.manual_seed(int(state))


def random_states(device: torch.device) -> tuple[Tensor, ...]:
    """Return the states of the CPU's generator and, where it is another, the device's."""
    on_device = (torch.cuda.get_rng_state(device),) if device.type == "cuda" else ()
    return (torch.get_rng_state(), *on_device)


def restore_random(states: Sequence[Tensor], device: torch.device) -> None:
    """Set the generators to what `random_states` returned."""
    torch.set_rng_state(states[0])
    if device.type == "cuda" and len(states) > 1:
        torch.cuda.set_rng_state(states[1], device)
