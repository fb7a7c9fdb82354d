"""Sessions: their options, and errors in the project's own words."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from runtime.core.errors import ModelError, ProviderError, reason_of
from runtime.core.machine import available_cores
from runtime.model.providers import ProviderRequest
from runtime.model.sessions import Engine, open_engine, open_session
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
    options = open_session(network).get_session_options()
    assert options.intra_op_num_threads == available_cores()
    assert options.inter_op_num_threads == 1
    assert options.enable_cpu_mem_arena
    bare = open_session(network, threads=3, optimize=False, arena=False).get_session_options()
    assert bare.intra_op_num_threads == 3
    assert not bare.enable_cpu_mem_arena
    disabled = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    assert bare.graph_optimization_level == disabled


def test_the_engine_of_the_cpu_provider(network: Path) -> None:
    session, engine = open_engine(network, ProviderRequest(), threads=2)
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert engine == Engine("cpu", onnxruntime.__version__, "cpu", "float32", threads=2)
    assert session.get_session_options().intra_op_num_threads == 2


def test_parallel_runs_share_the_threads(network: Path) -> None:
    session, engine = open_engine(network, ProviderRequest(), threads=4, parallel=3)
    assert session.get_session_options().intra_op_num_threads == 2  # and three that call
    assert engine.threads == 4


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


def test_a_provider_that_falls_back_in_silence_is_refused(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime computes on the CPU where a provider of its own cannot be loaded."""
    own = [*onnxruntime.get_available_providers(), "CUDAExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: own)
    with (
        pytest.warns(UserWarning, match="CUDAExecutionProvider"),
        pytest.raises(ProviderError, match="could not load CUDAExecutionProvider, and would comp"),
    ):
        open_engine(network, ProviderRequest("cuda"), threads=1)


class _Part:
    def __init__(self, ep_name: str, nodes: int) -> None:
        self.ep_name, self._nodes = ep_name, nodes

    def get_nodes(self) -> list[None]:
        return [None] * self._nodes


@pytest.mark.parametrize(("taken", "left"), [(3, 0), (3, 2), (0, 5)])
def test_the_nodes_that_a_provider_leaves_to_the_cpu(
    network: Path, monkeypatch: pytest.MonkeyPatch, taken: int, left: int
) -> None:
    class Session:
        def __init__(self, *_: object, **__: object) -> None: ...

        def get_providers(self) -> list[str]:
            return ["CUDAExecutionProvider", "CPUExecutionProvider"]

        def get_provider_graph_assignment_info(self) -> list[_Part]:
            parts = [_Part("CUDAExecutionProvider", taken), _Part("CPUExecutionProvider", left)]
            return [part for part in parts if part.get_nodes()]

    own = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: own)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    if not taken:
        with pytest.raises(
            ProviderError, match=r"network\.onnx: cuda takes no node of this network"
        ):
            open_engine(network, ProviderRequest("cuda"), threads=1)
        return
    _, engine = open_engine(network, ProviderRequest("cuda"), threads=1)
    assert (engine.nodes, engine.cpu_nodes) == (taken, left)
    assert ("2 of 5 nodes on the CPU provider" in str(engine)) == (left > 0)
    strict = ProviderRequest("cuda", strict=True)
    if left:
        with pytest.raises(ProviderError, match="cuda leaves 2 of 5 nodes to the CPU provider"):
            open_engine(network, strict, threads=1)
    else:
        assert open_engine(network, strict, threads=1)[1] == engine
