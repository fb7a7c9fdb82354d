import json
import os

from runtime.core.machine import available_cores, describe_machine
from runtime.core.schema import to_dict


def test_the_machine_is_described_as_the_system_tells_it() -> None:
    machine = describe_machine()
    assert 1 <= machine.cores == available_cores() <= (os.cpu_count() or 1)
    assert machine.processor
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert abs(machine.memory_bytes - pages) < 0.05 * pages
    assert {"python", "numpy", "onnxruntime"} <= set(machine.versions)
    assert json.loads(json.dumps(to_dict(machine)))["cores"] == machine.cores
