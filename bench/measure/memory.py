"""Memory that a process needs for a network, phase by phase; known on Linux only.

Resident sizes are those of the Linux kernel: `VmRSS` now, and `VmHWM` at the peak
(https://docs.kernel.org/filesystems/proc.html). They include pages of shared libraries. The
`ru_maxrss` of `getrusage` is not used, because it starts at the size of the parent process.
"""

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runtime.model.providers import ProviderRequest

_CPU = ProviderRequest()
_STATUS = Path("/proc/self/status")


def resident_bytes(field: str = "VmRSS") -> int | None:
    """Return the resident bytes of this process, or None on systems without `/proc`.

    Args:
        field: "VmRSS" for the current size, "VmHWM" for the peak.
    """
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
    path: str,
    size: tuple[int, int],
    threads: int,
    *,
    provider: ProviderRequest = _CPU,
    arena: bool = True,
    runs: int = 10,
) -> dict[str, int]:
    """Return resident bytes after each phase of this process, which should be a fresh one.

    Args:
        path: the ONNX file.
        size: (height, width) of the input; the batch is one image.
        threads: number of threads.
        provider: that computes the network.
        arena: whether ONNX Runtime's CPU provider holds freed memory for the next run, as it does
            by default.
        runs: number of runs between `first_run` and `steady`.

    Returns:
        Bytes by phase: `import` (Python and libraries), `session` (the network is loaded),
        `first_run`, `steady`, `peak` (the largest so far), and `trimmed` (after the C library has
        returned freed memory by glibc's `malloc_trim`; missing without glibc). Empty on systems
        without `/proc`.

    Raises:
        ModelError: the file cannot be run.
    """
    import numpy as np
    import onnxruntime  # noqa: F401, so that it counts as import

    from runtime.model.predictor import Predictor

    def note(phase: str) -> None:
        size_now = resident_bytes("VmHWM" if phase == "peak" else "VmRSS")
        if size_now is not None:
            phases[phase] = size_now

    phases: dict[str, int] = {}
    note("import")
    run: Callable[[Any], object]
    if arena:
        run = Predictor(path, size=size, threads=threads, provider=provider).run
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
