"""The machine that a measurement was made on; no figure means anything without it."""

import platform
from dataclasses import dataclass
from pathlib import Path

from runtime.machine import available_cores, installed_versions


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


_INSTRUCTIONS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "amx_tile", "asimd", "sve")


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
