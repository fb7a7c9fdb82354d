"""Other execution providers beside the CPU provider, and beside the engine that they bring."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from runtime.core.errors import ProviderError
from runtime.model.predictor import Predictor
from runtime.model.provider_devices import find_provider
from runtime.model.providers import ProviderRequest
from runtime.model.timing import time_interleaved, timed

ROUNDS = 60


def openvino_directly(
    path: Path, threads: int, image: NDArray[np.float32], hint: str
) -> Callable[[], object]:
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    network = core.read_model(path)
    network.reshape(list(image.shape))
    settings = {
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": hint,
    }
    request = core.compile_model(network, "CPU", settings).create_infer_request()
    return lambda: request.infer([image], share_inputs=True)[0].copy()


@pytest.mark.benchmark(group="providers")
def test_openvino_through_onnx_runtime(benchmark: BenchmarkFixture, exported: Path) -> None:
    """Ratios in one interleaved run: to OpenVINO called directly, and to the CPU provider."""
    try:
        find_provider("openvino")
    except ProviderError as error:
        pytest.skip(str(error))
    plugin = Predictor(exported, provider=ProviderRequest("openvino", "float32"))
    cpu = Predictor(exported)
    image = np.random.default_rng(0).random((1, 3, *cpu.size), np.float32)
    runs: dict[str, Callable[[], object]] = {
        "plugin": partial(plugin.run, image),
        "session": partial(plugin._session.run, None, {"image": image}),
        "directly": openvino_directly(exported, cpu.threads, image, "f32"),
        "cpu": partial(cpu.run, image),
    }
    seconds = dict(
        zip(
            runs,
            time_interleaved([timed(run, untimed=1) for run in runs.values()], ROUNDS),
            strict=True,
        )
    )
    for name in ("session", "directly", "cpu"):
        ratio = float(np.median(seconds["plugin"] / seconds[name]))
        benchmark.extra_info[f"predictor_over_{name}"] = ratio
    benchmark.pedantic(runs["plugin"], rounds=10)
