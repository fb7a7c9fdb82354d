"""What a command costs before it does anything, beside Python alone; CPU seconds in extra_info."""

import resource
import subprocess
import sys

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

CODES = {
    "python": "pass",
    "import runtime": "import runtime",
    "seg-eval --help": "from runtime.cli.evaluate import main; main(['--help'])",
    "Predictor": "import runtime, sys; runtime.Predictor(sys.argv[1], size=(64, 64))",
}


@pytest.mark.benchmark(group="start")
@pytest.mark.parametrize("what", CODES)
def test_start(benchmark: BenchmarkFixture, what: str, exported: str) -> None:
    command = [sys.executable, "-c", CODES[what], str(exported)]

    def start() -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    start()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    benchmark.pedantic(start, rounds=10)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    benchmark.extra_info["cpu_s"] = spent / 10
