"""Page faults of a step that allocates what the one before allocated; for a process of its own."""

import resource

import torch

from train.memory import retain_memory

MIB = 2**20
SIZES = [100 * MIB, 40 * MIB, 1 * MIB]


def step() -> None:
    kept = [torch.ones(size, dtype=torch.uint8) for size in SIZES]
    assert all(tensor[-1] == 1 for tensor in kept)


def count() -> tuple[int, int]:
    """Return the faults of a step as usual, and of one within `retain_memory`."""
    anew = _faults_of_a_step()
    with retain_memory():
        # The fewest: where memory is scarce, the system takes pages away and gives them back.
        return anew, min(_faults_of_a_step() for _ in range(5))


def _faults_of_a_step() -> int:
    for _ in range(3):  # until the allocator has found its places
        step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
