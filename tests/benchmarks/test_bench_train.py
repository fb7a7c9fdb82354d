"""What training costs: an epoch beside one of a plain loop, which decodes each time."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests.support import training_epochs
from tests.support.jpeg_data import make_jpeg_data

WORKERS = {"toolkit": None, "plain, no workers": 0, "plain, 2 workers": 2}


@pytest.fixture(scope="module")
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_jpeg_data(tmp_path_factory.mktemp("jpegs"), request.param).root


def measure(
    benchmark: BenchmarkFixture, data: Path, what: str, width: int, size: int, batch: int
) -> None:
    # In a process of its own, since what the toolkit sets there would hold for the plain loop too.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(training_epochs.prepare, data, width, size, batch, WORKERS[what]).result()
        benchmark.pedantic(
            lambda: pool.submit(training_epochs.run).result(), rounds=3, warmup_rounds=1
        )


@pytest.mark.benchmark(group="training epoch, scratch, 128x128, batch 8, 64 JPEGs of 640x640")
@pytest.mark.parametrize("data", [64], indirect=True, ids=["64 images"])
@pytest.mark.parametrize("what", WORKERS)
@pytest.mark.parametrize("width", [8, 32])
def test_training_epoch(benchmark: BenchmarkFixture, data: Path, width: int, what: str) -> None:
    measure(benchmark, data, what, width, size=128, batch=8)


@pytest.mark.benchmark(group="training epoch, scratch, 256x256, batch 4, 8 JPEGs of 640x640")
@pytest.mark.parametrize("data", [8], indirect=True, ids=["8 images"])
@pytest.mark.parametrize("what", WORKERS)
def test_training_epoch_at_full_width(benchmark: BenchmarkFixture, data: Path, what: str) -> None:
    measure(benchmark, data, what, width=64, size=256, batch=4)
