"""Sessions: their options, and errors in the project's own words."""

from pathlib import Path

import numpy as np
import pytest

from runtime.core.errors import ConfigError, ModelError
from runtime.core.machine import available_cores
from runtime.model.sessions import open_session, reason_of
from tests.support.model_builder import ModelBuilder


@pytest.fixture(scope="module")
def network(build_onnx: ModelBuilder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_onnx(tmp_path_factory.mktemp("network") / "network.onnx")


def test_a_file_and_its_bytes_compute_the_same(network: Path) -> None:
    image = np.random.default_rng(0).random((1, 3, 8, 8), np.float32)
    outputs = [
        open_session(model, threads=1, optimize=optimize, arena=optimize).run(
            None, {"pixels": image}
        )[0]
        for model in (network, network.read_bytes())
        for optimize in (True, False)
    ]
    for output in outputs[1:]:
        np.testing.assert_allclose(output, outputs[0], atol=1e-6)


def test_options_are_those_that_were_asked_for(network: Path) -> None:
    import onnxruntime

    options = open_session(network).get_session_options()
    assert options.intra_op_num_threads == available_cores()
    assert options.inter_op_num_threads == 1
    assert options.enable_cpu_mem_arena
    bare = open_session(network, threads=3, optimize=False, arena=False).get_session_options()
    assert bare.intra_op_num_threads == 3
    assert not bare.enable_cpu_mem_arena
    disabled = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    assert bare.graph_optimization_level == disabled


def test_providers_that_are_not_there_are_named(network: Path) -> None:
    with pytest.raises(ConfigError, match=r"providers: none given; choose from .*CPUExecution"):
        open_session(network, providers=())
    with pytest.raises(ConfigError, match="providers: NoSuch not available here; choose from "):
        open_session(network, providers=("NoSuch", "CPUExecutionProvider"))


def test_a_model_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"damaged\.onnx: ONNX Runtime cannot load it: .*rotobuf"):
        open_session(damaged)
    with pytest.raises(ModelError, match=r"^graph in memory: ONNX Runtime cannot load it: "):
        open_session(b"no model")


def test_a_long_reason_keeps_both_of_its_ends() -> None:
    reason = reason_of(RuntimeError("where it failed " + "x" * 5000 + " why it failed"))
    assert reason.startswith("where it failed")
    assert reason.endswith("why it failed")
    assert len(reason) < 600
    assert reason_of(RuntimeError()) == "RuntimeError"
