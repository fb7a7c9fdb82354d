"""The machine that a process runs on: usable cores, installed versions, processor and memory."""

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

MAX_THREADS = 256
"""Most threads of a computation; thousands would only use up the machine's memory."""
_CGROUP_V2 = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_V1 = Path("/sys/fs/cgroup/cpu")
_OWN_CGROUP = Path("/proc/self/cgroup")
_FREE = ("MemAvailable", "SwapFree")
_INSTRUCTIONS = (
    *("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "avx_vnni"),
    *("amx_tile", "amx_int8", "amx_bf16", "amx_fp16", "asimd", "bf16", "sve"),
)


@dataclass(frozen=True, slots=True)
class Machine:
    """The hardware and software that a timing depends on.

    Attributes:
        processor: its name, as the system reports it.
        instructions: available vector instruction sets that matter for the speed of a network.
        cores: number of cores that this process may use.
        memory_bytes: memory of the machine; 0 where the system does not report it.
        versions: installed versions of Python and of the libraries that compute.
    """

    system: str
    processor: str
    instructions: tuple[str, ...]
    cores: int
    memory_bytes: int
    versions: dict[str, str]


def available_cores() -> int:
    """Return the number of cores that this process may use, at least 1.

    It is the smaller of the CPU affinity and the CPU quota of the cgroup or of one around it
    (https://docs.kernel.org/admin-guide/cgroup-v2.html, `cpu.max`). ONNX Runtime and PyTorch count
    all cores of the host, and lose time in a container with fewer.

    Example:
        >>> 1 <= available_cores() <= os.cpu_count()
        True
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        cores = os.cpu_count() or 1
    quota = _cgroup_quota()
    return max(1, cores if quota is None else min(cores, int(quota)))


def _cgroup_quota() -> float | None:
    """Return the smallest CPU quota, in cores, of the process's cgroup and those around it."""
    quotas: list[float] = []
    for folder in (_CGROUP_V2.parent, *_nested(_CGROUP_V2.parent, "")):
        quotas += _quota(folder / _CGROUP_V2.name)
    if not _CGROUP_V2.is_file():
        for folder in (_CGROUP_V1, *_nested(_CGROUP_V1, "cpu")):
            quotas += _quota(folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us")
    return min(quotas, default=None)


def _nested(root: Path, controller: str) -> list[Path]:
    """Return the folders of the process's cgroup and those around it, up to `root` exclusively.

    Args:
        controller: of version 1, or empty for version 2
            (https://man7.org/linux/man-pages/man7/cgroups.7.html, /proc/pid/cgroup).
    """
    try:
        lines = [line.split(":", 2) for line in _OWN_CGROUP.read_text().splitlines()]
    except (OSError, ValueError):
        return []
    folders = []
    for line in lines:
        if len(line) == 3 and controller in line[1].split(","):
            parts = [part for part in line[2].strip("/").split("/") if part not in ("", "..")]
            folders += [root.joinpath(*parts[:depth]) for depth in range(1, len(parts) + 1)]
    return folders


def _quota(*files: Path) -> list[float]:
    """Return the quota that the files state as limit and period, if there is one."""
    try:
        limit, period = " ".join(file.read_text() for file in files).split()
        return [float(limit) / float(period)] if limit not in ("max", "-1") else []
    except (OSError, ValueError, ZeroDivisionError):
        return []


def free_memory() -> int | None:
    """Return the bytes that this process may still take; None where the system does not tell.

    Memory that is unused or only caches files, and unused swap. Limits of the cgroup, or of one
    around it, count less what the process holds already (`memory.max`; in version 1
    `memory.limit_in_bytes`).

    Example:
        >>> free = free_memory()
        >>> free is None or free > 0
        True
    """
    facts = _read_facts("/proc/meminfo")
    if "MemAvailable" not in facts:
        return None
    free = sum(1024 * int(facts.get(name, "0 kB").split()[0]) for name in _FREE)
    held = 1024 * int(_read_facts("/proc/self/status").get("VmRSS", "0 kB").split()[0])
    return max(0, min([free, *(limit - held for limit in _memory_limits())]))


def _memory_limits() -> list[int]:
    """Return the memory limits, in bytes, of the process's cgroup and those around it."""
    root, old = _CGROUP_V2.parent, _CGROUP_V1.parent / "memory"
    files = [folder / "memory.max" for folder in (root, *_nested(root, ""))]
    files += [folder / "memory.limit_in_bytes" for folder in (old, *_nested(old, "memory"))]
    limits = []
    for file in files:
        try:
            limits.append(int(file.read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return limits


def installed_versions(*distributions: str) -> dict[str, str]:
    """Return the versions of Python and of the `distributions` that are installed.

    Example:
        >>> sorted(installed_versions("numpy", "not-installed"))
        ['numpy', 'python']
    """
    versions = {"python": platform.python_version()}
    for name in distributions:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def package_versions(distributions: Iterable[str]) -> dict[str, str]:
    """Return the version of each distribution; "none" where one is not installed.

    Example:
        >>> package_versions(["not-installed"])
        {'not-installed': 'none'}
    """
    names = tuple(distributions)
    found = installed_versions(*names)
    return {name: found.get(name, "none") for name in names}


def describe_machine() -> Machine:
    """Return the machine that this process runs on."""
    facts = _read_facts("/proc/cpuinfo")
    flags = set(facts.get("flags", facts.get("Features", "")).split())
    memory = _read_facts("/proc/meminfo").get("MemTotal", "0 kB").split()[0]
    return Machine(
        system=platform.platform(),
        processor=facts.get("model name", platform.processor() or platform.machine()),
        instructions=tuple(name for name in _INSTRUCTIONS if name in flags),
        cores=available_cores(),
        memory_bytes=1024 * int(memory),
        versions=installed_versions("numpy", "onnxruntime", "pillow", "torch"),
    )


def _read_facts(path: str) -> dict[str, str]:
    """Return the first value of each `name: value` line; no values where there is no such file."""
    facts: dict[str, str] = {}
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return facts
    for line in lines:
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    return facts
