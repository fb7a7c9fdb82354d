"""What the runtime costs: the network, and its own work beside it."""

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture

from bench.workers.process import Worker
from runtime.data.coco import read_dataset
from runtime.data.images import load_scan
from runtime.data.resizing import to_input
from runtime.metrics import pixel_sums, thresholded_sums
from runtime.model.predictor import Predictor
from runtime.model.timing import time_interleaved, timed
from runtime.scoring.calibration import CalibrationSums

SIZE = (256, 256)


@pytest.fixture
def jpeg(full_size_phantom: Path, tmp_path: Path) -> Path:
    source = read_dataset(full_size_phantom).split("test").samples[0].path
    path = tmp_path / "scan.jpg"
    with Image.open(source) as picture:
        picture.convert("RGB").save(path, quality=90)
    return path


def note_percentiles(benchmark: BenchmarkFixture) -> None:
    stats: Any = benchmark.stats
    milliseconds = np.array(stats.stats.data) * 1e3
    for percent in (90, 99):
        benchmark.extra_info[f"p{percent}_ms"] = float(np.percentile(milliseconds, percent))


@pytest.mark.benchmark(group="prediction")
@pytest.mark.parametrize("what", ["predictor", "session"])
def test_predict(benchmark: BenchmarkFixture, exported: Path, what: str) -> None:
    """A decoded image through the Predictor, and a prepared tensor through the session alone."""
    predictor = Predictor(exported)
    file = predictor.file
    pixels = np.random.default_rng(0).integers(0, 255, (*predictor.size, 3), np.uint8)
    benchmark.extra_info.update(
        model=exported.name, digest=file.digest, file_bytes=file.file_bytes,
        threads=predictor.threads, size=list(predictor.size),
    )  # fmt: skip
    if file.metadata is not None:
        network = file.metadata.network
        benchmark.extra_info.update(parameters=network.parameters, macs=network.macs)
        if file.metadata.training is not None:
            benchmark.extra_info["accuracy"] = {"valid": file.metadata.training.validation}
    worker = Worker("bench.measure.worker", threads=predictor.threads, limit_s=600.0)
    with worker:
        request = {"path": str(exported), "size": list(predictor.size), "provider": {}}
        memory = worker.ask("memory", **request, threads=predictor.threads, arena=True)
        benchmark.extra_info["memory_bytes"] = memory
    if what == "predictor":
        benchmark.pedantic(predictor, (pixels,), rounds=50, warmup_rounds=5)
    else:
        inputs = {file.inputs[0].name: to_input(pixels)[None]}
        benchmark.pedantic(predictor._session.run, (None, inputs), rounds=50, warmup_rounds=5)
    note_percentiles(benchmark)


@pytest.mark.benchmark(group="prediction, 256x256")
@pytest.mark.parametrize("what", ["predictor", "session"])
def test_predict_by_width(benchmark: BenchmarkFixture, random_network: Path, what: str) -> None:
    """The Predictor's own work beside a wide network and a narrow one."""
    predictor = Predictor(random_network, size=SIZE)
    pixels = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), np.uint8)
    rounds = 50 if random_network.stem == "w8" else 10
    if what == "predictor":
        benchmark.pedantic(predictor, (pixels,), rounds=rounds, warmup_rounds=3)
    else:
        inputs = {"image": to_input(pixels)[None]}
        benchmark.pedantic(predictor._session.run, (None, inputs), rounds=rounds, warmup_rounds=3)


@pytest.mark.benchmark(group="decode 640x640 JPEG to 256x256")
@pytest.mark.parametrize(
    "what", ["toolkit", "plain Pillow", "plain Pillow, its own choice of filter"]
)
def test_decode(benchmark: BenchmarkFixture, jpeg: Path, what: str) -> None:
    def toolkit() -> NDArray[np.float32]:
        return to_input(load_scan(jpeg, SIZE).pixels)

    filter_ = Image.Resampling.BILINEAR if what == "plain Pillow" else Image.Resampling.BICUBIC

    def plain() -> NDArray[np.float32]:
        with Image.open(jpeg) as picture:
            resized = picture.convert("RGB").resize(SIZE, filter_)
        return np.asarray(resized, np.float32).transpose(2, 0, 1) / np.float32(255.0)

    benchmark.pedantic(toolkit if what == "toolkit" else plain, rounds=100, warmup_rounds=5)


@pytest.mark.benchmark(group="metrics of a 256x256 image")
def test_metrics(benchmark: BenchmarkFixture) -> None:
    rng = np.random.default_rng(0)
    probability, mask = rng.random(SIZE, np.float32), rng.integers(0, 2, SIZE, np.uint8)

    def measure() -> None:
        pixel_sums(probability, mask)
        thresholded_sums(probability, mask)
        CalibrationSums().add(probability, mask)

    benchmark.pedantic(measure, rounds=100, warmup_rounds=5)


@pytest.mark.benchmark(group="mask at 256x256")
@pytest.mark.parametrize("kind", ["boxes", "segmentation"])
def test_masks(benchmark: BenchmarkFixture, full_size_phantom: Path, kind: str) -> None:
    sample = read_dataset(full_size_phantom).split("test").samples[0]
    benchmark.pedantic(sample.mask, (SIZE, kind), rounds=100, warmup_rounds=5)


def test_a_stub_of_known_time_is_measured_to_two_percent(benchmark: BenchmarkFixture) -> None:
    """Here and not among the tests: a busy machine wakes a sleeping process late."""
    runs = [timed(partial(time.sleep, seconds)) for seconds in (0.05, 0.08)]
    found = benchmark.pedantic(time_interleaved, args=(runs, 11), rounds=1)
    for seconds, known in zip(found, (0.05, 0.08), strict=True):
        assert np.median(seconds) == pytest.approx(known, rel=0.02)
