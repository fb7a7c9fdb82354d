"""Memory between training steps: kept, and given back at the end."""

import ctypes
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from train.memory import kept_memory

MIB = 2**20
SIZES = [100 * MIB, 40 * MIB, 1 * MIB]

pytestmark = pytest.mark.skipif(
    not (sys.platform.startswith("linux") and hasattr(ctypes.CDLL(None), "mallopt")),
    reason="not glibc",
)


def faults(work: Callable[[], object]) -> int:
    for _ in range(3):  # until the allocator has found its places
        work()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    work()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def step() -> None:
    kept = [torch.ones(size, dtype=torch.uint8) for size in SIZES]
    assert all(tensor[-1] == 1 for tensor in kept)


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def test_a_step_finds_the_memory_of_the_one_before() -> None:
    anew = faults(step)
    with kept_memory():
        kept = faults(step)
    pages = sum(SIZES) // resource.getpagesize()
    assert kept < pages // 20
    assert anew > pages // 2


def test_it_is_given_back_at_the_end_also_after_an_exception() -> None:
    held = 0

    def work() -> None:
        nonlocal held
        with kept_memory():
            step()
            held = resident()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert held - resident() > sum(SIZES) // 2


def test_other_c_libraries_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.memory.ctypes.CDLL", lambda _: object())
    with kept_memory():
        step()
