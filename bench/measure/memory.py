"""What a network takes of a process's memory, phase by phase; Linux tells, other systems don't.

Resident sizes are the kernel's (https://docs.kernel.org/filesystems/proc.html, `VmRSS` and, for the
largest so far, `VmHWM`). `getrusage`'s `ru_maxrss` starts at what the process that started this one
had, so that it is not used. What is resident holds pages of shared libraries too.
"""

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

_STATUS = Path("/proc/self/status")


def resident_bytes(field: str = "VmRSS") -> int | None:
    """Return how much of this process is in memory; None where the system doesn't tell."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(":")
        if name == field:
            return 1024 * int(value.split()[0])
    return None


def memory_by_phase(
    path: str, size: tuple[int, int], threads: int, *, arena: bool = True, runs: int = 10
) -> dict[str, int]:
    """Return resident bytes after each phase of this process, which should be a fresh one.

    The keys: `import` (Python and libraries), `session` (the network is loaded), `first_run`,
    `steady` (`runs` further runs), `peak`, the largest of all moments, and `trimmed`, what is left
    when the C library has given back what was freed and it kept (glibc's `malloc_trim`; no such
    key without it). Empty where the system doesn't tell.

    Args:
        size: (height, width) of the input; one image is run at a time.
        arena: whether ONNX Runtime keeps memory for the next run, as it does by default.

    Raises:
        ModelError: the file cannot be run.
    """
    import numpy as np
    import onnxruntime  # noqa: F401, loaded before the first phase ends

    from runtime.model.predictor import Predictor

    def note(phase: str) -> None:
        found = resident_bytes("VmHWM" if phase == "peak" else "VmRSS")
        if found is not None:
            phases[phase] = found

    phases: dict[str, int] = {}
    note("import")
    run: Callable[[Any], object]
    if arena:
        run = Predictor(path, size=size, threads=threads).run
    else:
        run = _open_without_arena(path, threads)
    note("session")
    image = np.random.default_rng(0).random((1, 3, *size), np.float32)
    run(image)
    note("first_run")
    for _ in range(runs):
        run(image)
    note("steady")
    note("peak")
    if phases and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
        note("trimmed")
    return phases


def _open_without_arena(path: str, threads: int) -> Callable[[Any], object]:
    from runtime.model.sessions import open_session

    session = open_session(Path(path), threads=threads, arena=False)
    (name,) = (value.name for value in session.get_inputs())
    return lambda image: session.run(None, {name: image})
