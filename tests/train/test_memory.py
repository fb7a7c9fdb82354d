"""Memory between training steps: kept, and given back at the end."""

import ctypes
import resource
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.support import page_faults
from tests.support.page_faults import SIZES, step
from train.memory import kept_memory

pytestmark = pytest.mark.skipif(
    not (sys.platform.startswith("linux") and hasattr(ctypes.CDLL(None), "mallopt")),
    reason="not glibc",
)


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def test_a_step_finds_the_memory_of_the_one_before() -> None:
    # In a process that has trained before, the heap may have room for all of a usual step.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        anew, kept = pool.submit(page_faults.count).result()
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
