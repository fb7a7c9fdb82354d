"""Memory that the C library retains from one training step for the next."""

import ctypes
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

_NEVER = 2**31 - 1


@dataclass(frozen=True, slots=True)
class _Parameter:
    """A parameter of glibc's allocator: mallopt's number, its names, and its default."""

    number: int
    tunable: str
    variable: str
    default: int


_TRIM_THRESHOLD = _Parameter(-1, "trim_threshold", "MALLOC_TRIM_THRESHOLD_", 128 * 1024)
_MMAP_MAX = _Parameter(-4, "mmap_max", "MALLOC_MMAP_MAX_", 65536)


@contextmanager
def retain_memory() -> Iterator[None]:
    """Let the process retain freed memory, instead of returning it to the system after each use.

    A step allocates the same feature maps as the previous one. By default glibc maps an allocation
    of 32 MiB or more, and often smaller ones, anew each time, and the system clears every page at
    its first use. At full width and 256x256, batch 4, this took 1.5 million page faults per step,
    and a third of its time. Other C libraries are not changed.

    At the end, free memory is returned, and glibc gets the values that the process was started
    with: those of `GLIBC_TUNABLES` or `MALLOC_TRIM_THRESHOLD_` and `MALLOC_MMAP_MAX_`, else glibc's
    defaults. Two things cannot be restored, since mallopt(3) only sets: values that the process has
    set by mallopt itself, and that glibc adapts its thresholds by itself.
    """
    mallopt, trim = _glibc("mallopt"), _glibc("malloc_trim")
    if mallopt is None or trim is None:
        yield
        return
    mallopt(_MMAP_MAX.number, 0)
    mallopt(_TRIM_THRESHOLD.number, _NEVER)
    try:
        yield
    finally:
        for parameter in (_MMAP_MAX, _TRIM_THRESHOLD):
            mallopt(parameter.number, _started_with(parameter, os.environ))
        trim(0)


def _started_with(parameter: _Parameter, environment: Mapping[str, str]) -> int:
    """Return a parameter's value in a process with this environment, at most 2**31 - 1."""
    texts = [environment.get(parameter.variable, "")]
    for tunable in environment.get("GLIBC_TUNABLES", "").split(":"):
        name, _, text = tunable.partition("=")
        if name == f"glibc.malloc.{parameter.tunable}":
            texts.append(text)
    for text in reversed(texts):
        try:
            return min(int(text, base=0), _NEVER)
        except ValueError:  # not given, or not a number, which glibc ignores too
            continue
    return parameter.default


def _glibc(name: str) -> "ctypes._NamedFuncPointer | None":
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), name, None)
