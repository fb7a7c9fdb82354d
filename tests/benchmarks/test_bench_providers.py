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

ROUNDS = 20


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
    """Ratios in one interleaved run: to the bare session, OpenVINO and the CPU provider."""
    try:
        find_provider("openvino")
    except ProviderError as error:
        pytest.skip(str(error))
    request = ProviderRequest("openvino", "float32")
    plugin = Predictor(exported, provider=request)
    of_any_shape = Predictor(exported, provider=request, batch_size=2)
    cpu = Predictor(exported)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (*cpu.size, 3), np.uint8)
    image = rng.random((1, 3, *cpu.size), np.float32)
    runs: dict[str, Callable[[], object]] = {
        "plugin": partial(plugin.run, image),
        "image": partial(plugin, pixels),
        "session": partial(plugin._session.run, None, {"image": image}),
        "any_shape": partial(of_any_shape.run, image),
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
    for name in ("session", "any_shape", "directly", "cpu"):
        ratio = float(np.median(seconds["plugin"] / seconds[name]))
        benchmark.extra_info[f"plugin_over_{name}"] = ratio
    work = float(np.median(seconds["image"] - seconds["session"]))
    benchmark.extra_info["predictors_own_ms"] = 1e3 * work
    benchmark.pedantic(runs["plugin"], rounds=10)
