"""Scoring a split, beside what the network alone needs for as many images."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from runtime.core.errors import ProviderError
from runtime.data.coco import Dataset
from runtime.model.predictor import Predictor, concurrency_for
from runtime.scoring.evaluation import evaluate
from tests.support.jpeg_data import make_jpeg_data

IMAGES = 48
SIZE = 256


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_jpeg_data(tmp_path_factory.mktemp("jpegs"), IMAGES)


GROUP = "scoring JPEGs of 640x640 at 256x256"


@pytest.mark.benchmark(group=GROUP)
@pytest.mark.parametrize("provider", ["cpu", "openvino"])
@pytest.mark.parametrize("what", ["evaluate", "network alone", "network alone, one at a time"])
def test_evaluate(
    benchmark: BenchmarkFixture, random_network: Path, data: Dataset, what: str, provider: str
) -> None:
    """Scoring as seg-eval does; and inference alone, as many at once, and one after the other."""
    concurrency = 1 if "time" in what else concurrency_for()
    try:
        predictor = Predictor(
            random_network, size=(SIZE, SIZE), provider=provider, concurrency=concurrency
        )
    except ProviderError as error:
        pytest.skip(str(error))
    split = data.split("test")
    inputs = {"image": np.random.default_rng(0).random((1, 3, SIZE, SIZE), np.float32)}

    def alone() -> None:
        with ThreadPoolExecutor(concurrency) as pool:
            runs = [pool.submit(predictor._session.run, None, inputs) for _ in split.samples]
        for run in runs:
            run.result()

    def scored() -> None:
        evaluate(predictor, split)

    benchmark.extra_info.update(images=len(split.samples), concurrency=concurrency)
    rounds = 10 if random_network.stem == "w8" else 1
    benchmark.pedantic(scored if what == "evaluate" else alone, rounds=rounds, warmup_rounds=1)


@pytest.mark.benchmark(group=GROUP)
def test_openvino_queue(benchmark: BenchmarkFixture, random_network: Path) -> None:
    """The network alone in OpenVINO's own queue, with as many streams as `evaluate` computes."""
    openvino = pytest.importorskip("openvino")
    streams = concurrency_for()
    core = openvino.Core()
    network = core.read_model(random_network)
    network.reshape([1, 3, SIZE, SIZE])
    settings = {"NUM_STREAMS": streams, "INFERENCE_PRECISION_HINT": "f32"}
    queue = openvino.AsyncInferQueue(core.compile_model(network, "CPU", settings), streams)
    image = np.random.default_rng(0).random((1, 3, SIZE, SIZE), np.float32)

    def computed() -> None:
        for _ in range(IMAGES):
            queue.start_async({0: image})
        queue.wait_all()

    benchmark.extra_info.update(images=IMAGES, concurrency=streams)
    rounds = 10 if random_network.stem == "w8" else 1
    benchmark.pedantic(computed, rounds=rounds, warmup_rounds=1)
