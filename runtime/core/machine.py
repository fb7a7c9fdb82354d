"""What this process runs on: cores that it may use, versions, and the machine behind a figure."""

import os
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

MAX_THREADS = 256
"""Of a computation; thousands would take the machine's memory before they are of use."""
_CGROUP_V2 = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_V1 = Path("/sys/fs/cgroup/cpu")
_INSTRUCTIONS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "amx_tile", "asimd", "sve")


@dataclass(frozen=True, slots=True)
class Machine:
    """What a timing depends on.

    Attributes:
        processor: its name, as the system tells it.
        instructions: vector instruction sets that decide the speed of a network.
        cores: that this process may use.
        memory_bytes: of the machine; 0 where the system doesn't tell.
        versions: of Python and of what computes.
    """

    system: str
    processor: str
    instructions: tuple[str, ...]
    cores: int
    memory_bytes: int
    versions: dict[str, str]


def available_cores() -> int:
    """Return how many cores the process may use: its affinity, cut by the cgroup's CPU quota.

    ONNX Runtime and PyTorch look at the host's cores alone, and lose time in a container that is
    given fewer (https://docs.kernel.org/admin-guide/cgroup-v2.html, `cpu.max`).
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        cores = os.cpu_count() or 1
    quota = _cgroup_quota()
    return max(1, cores if quota is None else min(cores, int(quota)))


def _cgroup_quota() -> float | None:
    try:
        if _CGROUP_V2.is_file():
            limit, period = _CGROUP_V2.read_text().split()
        else:
            limit = (_CGROUP_V1 / "cpu.cfs_quota_us").read_text().strip()
            period = (_CGROUP_V1 / "cpu.cfs_period_us").read_text().strip()
        return float(limit) / float(period) if limit not in ("max", "-1") else None
    except (OSError, ValueError, ZeroDivisionError):
        return None


def installed_versions(*distributions: str) -> dict[str, str]:
    """Return the versions of Python and of those of `distributions` that are installed."""
    versions = {"python": platform.python_version()}
    for name in distributions:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


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
    """Return the first value of each `name: value` line; nothing where there is no such file."""
    facts: dict[str, str] = {}
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return facts
    for line in lines:
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    return facts
