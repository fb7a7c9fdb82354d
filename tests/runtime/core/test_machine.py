"""What the process may use."""

import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from runtime.core import machine
from runtime.core.machine import (
    available_cores,
    describe_machine,
    free_memory,
    installed_versions,
)
from runtime.core.schema import to_dict

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def eight_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that lets the process use eight cores; its cgroup files would lie here."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(machine, "_CGROUP_V2", tmp_path / "cpu.max")
    monkeypatch.setattr(machine, "_CGROUP_V1", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("limit", "cores"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("350000 100000", 3),
        ("50000 100000", 1),
        ("6400000 100000", 8),
        ("25000 50000", 1),
        ("", 8),
        ("many", 8),
        ("100000 0", 8),
        ("1 2 3", 8),
    ],
)
def test_the_quota_of_cgroup_v2_cuts_the_cores(eight_cores: Path, limit: str, cores: int) -> None:
    (eight_cores / "cpu.max").write_text(f"{limit}\n")
    assert available_cores() == cores


@pytest.mark.parametrize(("quota", "cores"), [("-1", 8), ("300000", 3), ("1000", 1), ("x", 8)])
def test_the_quota_of_cgroup_v1_cuts_the_cores(eight_cores: Path, quota: str, cores: int) -> None:
    (eight_cores / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (eight_cores / "cpu.cfs_period_us").write_text("100000\n")
    assert available_cores() == cores


@pytest.mark.parametrize(
    ("outer", "inner", "cores"),
    [("max", "200000", 2), ("300000", "max", 3), ("200000", "400000", 2), ("500000", "300000", 3)],
)
def test_the_smallest_quota_of_nested_cgroups_counts(
    eight_cores: Path, monkeypatch: pytest.MonkeyPatch, outer: str, inner: str, cores: int
) -> None:
    """As a service or a job has it: the root of the tree states no quota."""
    nested = eight_cores / "batch.slice" / "job.scope"
    nested.mkdir(parents=True)
    (eight_cores / "cgroup").write_text("0::/batch.slice/job.scope\n")
    monkeypatch.setattr(machine, "_OWN_CGROUP", eight_cores / "cgroup")
    (nested.parent / "cpu.max").write_text(f"{outer} 100000\n")
    (nested / "cpu.max").write_text(f"{inner} 100000\n")
    assert available_cores() == cores


def test_the_quota_of_a_nested_cgroup_of_v1_counts(
    eight_cores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nested = eight_cores / "docker" / "abc"
    nested.mkdir(parents=True)
    (eight_cores / "cgroup").write_text("5:memory:/other\n4:cpu,cpuacct:/docker/abc\n0::/\n")
    monkeypatch.setattr(machine, "_OWN_CGROUP", eight_cores / "cgroup")
    (nested / "cpu.cfs_quota_us").write_text("200000\n")
    (nested / "cpu.cfs_period_us").write_text("100000\n")
    assert available_cores() == 2


def test_without_a_cgroup_the_affinity_counts(eight_cores: Path) -> None:
    assert list(eight_cores.iterdir()) == []
    assert available_cores() == 8


def test_the_free_memory_is_the_systems_or_what_the_smallest_limit_leaves(
    eight_cores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {
        "/proc/meminfo": {"MemAvailable": "5000 kB", "SwapFree": "1000 kB", "MemFree": "10 kB"},
        "/proc/self/status": {"VmRSS": "300 kB"},
    }
    monkeypatch.setattr(machine, "_read_facts", facts.__getitem__)
    monkeypatch.setattr(machine, "_OWN_CGROUP", eight_cores / "cgroup")
    (eight_cores / "cgroup").write_text("5:memory:/a/b\n0::/job\n")
    assert free_memory() == 6000 * 1024
    (eight_cores / "memory.max").write_text("max\n")
    (eight_cores / "job").mkdir()
    (eight_cores / "job" / "memory.max").write_text(f"{4000 * 1024}\n")
    assert free_memory() == 3700 * 1024
    del facts["/proc/meminfo"]["MemAvailable"]
    assert free_memory() is None


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(("count", "cores"), [(6, 6), (None, 1)])
def test_a_system_without_affinity_counts_its_cores(
    monkeypatch: pytest.MonkeyPatch, count: int | None, cores: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert available_cores() == cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_a_process_bound_to_one_core_may_use_one() -> None:
    code = (
        "import os; from runtime.core.machine import available_cores;"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(available_cores())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert run.stdout.strip() == "1"


def test_versions_are_those_installed_and_absent_ones_are_omitted() -> None:
    assert installed_versions("numpy", "no-such-distribution") == {
        "python": platform.python_version(),
        "numpy": metadata.version("numpy"),
    }


def test_the_machine_is_described_as_the_system_reports_it() -> None:
    machine = describe_machine()
    assert 1 <= machine.cores == available_cores() <= (os.cpu_count() or 1)
    assert machine.processor
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert abs(machine.memory_bytes - pages) < 0.005 * pages
    assert {"python", "numpy", "onnxruntime"} <= set(machine.versions)
    assert json.loads(json.dumps(to_dict(machine)))["cores"] == machine.cores
