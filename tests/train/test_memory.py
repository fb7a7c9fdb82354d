"""Memory between training steps: kept, and given back at the end."""

import ctypes
import json
import subprocess
import sys

import pytest

from train.memory import _MMAP_MAX, _TRIM_THRESHOLD, _started_with, retain_memory

MIB = 2**20
SIZES = [100 * MIB, 40 * MIB, 1 * MIB]

pytestmark = pytest.mark.skipif(
    not (sys.platform.startswith("linux") and hasattr(ctypes.CDLL(None), "mallopt")),
    reason="not glibc",
)

STEPS = f"""
import json, resource
from pathlib import Path
import numpy as np
from train.memory import retain_memory

found = []

def step():
    held = [np.ones(size, np.uint8) for size in {SIZES}]

def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    found.append(pages * resource.getpagesize())

step()
resident()
try:
    with retain_memory():
        step()
        resident()
        step()
        resident()
        raise KeyboardInterrupt
except KeyboardInterrupt:
    resident()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def resident() -> list[int]:
    """Bytes after a step as usual, after two that retain memory, and after the interrupted context.

    In a new process: other threads of this one, and what earlier tests have freed, would count.
    """
    command = [sys.executable, "-c", STEPS]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: list[int] = json.loads(done.stdout)
    return found


def test_a_step_finds_the_memory_of_the_one_before(resident: list[int]) -> None:
    usual, first, second, _ = resident
    assert first - usual > 0.9 * sum(SIZES)
    assert abs(second - first) < 0.1 * sum(SIZES)


def test_it_is_given_back_at_the_end_also_after_an_exception(resident: list[int]) -> None:
    _, _, second, after = resident
    assert second - after > 0.9 * sum(SIZES)


def test_other_c_libraries_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.memory.ctypes.CDLL", lambda _: object())
    with retain_memory():
        pass


@pytest.mark.parametrize(
    ("environment", "values"),
    [
        ({}, (65536, 131072)),
        ({"MALLOC_MMAP_MAX_": "7", "MALLOC_TRIM_THRESHOLD_": "4096"}, (7, 4096)),
        (
            {"GLIBC_TUNABLES": "glibc.malloc.mmap_max=3:glibc.malloc.trim_threshold=0x1000"},
            (3, 4096),
        ),
        ({"GLIBC_TUNABLES": "glibc.malloc.check=3", "MALLOC_MMAP_MAX_": "7"}, (7, 131072)),
        (
            {"GLIBC_TUNABLES": "glibc.malloc.mmap_max=3", "MALLOC_MMAP_MAX_": "7"},
            (3, 131072),  # a tunable wins, as in glibc
        ),
        ({"MALLOC_MMAP_MAX_": "many"}, (65536, 131072)),
        ({"MALLOC_TRIM_THRESHOLD_": str(2**40)}, (65536, 2**31 - 1)),
    ],
)
def test_at_the_end_the_values_are_those_that_the_process_was_started_with(
    environment: dict[str, str], values: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tuple(_started_with(p, environment) for p in (_MMAP_MAX, _TRIM_THRESHOLD)) == values
    for name in ("MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    calls: dict[int, int] = {}
    fakes = {"mallopt": calls.__setitem__, "malloc_trim": lambda _: None}
    monkeypatch.setattr("train.memory._glibc", fakes.get)
    with retain_memory():
        assert calls == {-4: 0, -1: 2**31 - 1}
    assert calls == {-4: values[0], -1: values[1]}
