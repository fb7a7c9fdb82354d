"""Each installed backend computes the same numbers, without access to the internet."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from bench.backends.backend import BACKENDS, REFERENCE, Backend, BackendLimits
from bench.backends.compare import compare_backends
from bench.backends.result import BackendResult

ROOT = Path(__file__).resolve().parents[3]
OFFLINE = """if True:
    import json, sys
    from tests.support.no_network import refuse_network
    refuse_network()
    from bench.backends.compare import compare_backends
    from bench.backends.backend import BACKENDS, BackendLimits
    from runtime.core.schema import to_dict
    model, checkpoint, *names = sys.argv[1:]
    result = compare_backends(
        model,
        checkpoint=checkpoint or None,
        threads=1,
        backends=[backend for backend in BACKENDS if backend.name in names],
        limits=BackendLimits(runs=2),
    )
    print(json.dumps({backend.name: to_dict(backend) for backend in result.backends}))
"""


def missing_module(backend: Backend) -> str | None:
    return next((module for module in backend.modules if find_spec(module) is None), None)


def compare_offline(
    model: Path, checkpoint: Path | None, backends: Iterable[Backend]
) -> dict[str, dict[str, Any]]:
    """Return the results by backend, and that of the reference."""
    names = {REFERENCE, *(backend.name for backend in backends)}
    ran = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(model), str(checkpoint or ""), *names],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    results: dict[str, dict[str, Any]] = json.loads(ran.stdout)
    return results


@pytest.fixture(scope="module")
def compared(model: Path, run_folder: Path) -> dict[str, dict[str, Any]]:
    """All installed backends, in one comparison."""
    installed = [backend for backend in BACKENDS if missing_module(backend) is None]
    return compare_offline(model, run_folder, installed)


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
def test_it_gives_the_numbers_of_onnx_runtime(
    backend: Backend, compared: dict[str, dict[str, Any]]
) -> None:
    missing = missing_module(backend)
    if missing is not None:
        pytest.skip(f"{missing} is not installed")
    found = compared[backend.name]
    assert found["reason"] == ""
    assert found["difference"] < 1e-4
    assert len(found["seconds"]) == 2
    assert found["versions"]


@pytest.mark.usefixtures("inline_workers")
def test_pytorch_has_to_be_given_the_checkpoint_of_this_very_file(
    model: Path, run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    for name in ("set_num_threads", "set_num_interop_threads"):  # those of this process stay
        monkeypatch.setattr(torch, name, lambda _: None)
    chosen = [backend for backend in BACKENDS if backend.name in ("pytorch", REFERENCE)]

    def compare(checkpoint: Path | None) -> BackendResult:
        result = compare_backends(
            model, checkpoint=checkpoint, threads=1, backends=chosen, limits=BackendLimits(runs=1)
        )
        return next(backend for backend in result.backends if backend.name == "pytorch")

    assert "give --checkpoint" in compare(None).reason
    assert "expected a checkpoint, found no file" in compare(tmp_path / "best.pt").reason
    content = torch.load(run_folder / "best.pt", weights_only=True)
    content["weights"]["head.bias"] += 1.0
    torch.save(content, tmp_path / "best.pt")
    other = compare(tmp_path)
    assert other.reason == "probabilities differ by more than 0.001"
    assert other.difference > 0.01


@pytest.mark.parametrize(
    ("name", "words"),
    [("mnn", "MNN cannot convert the file"), ("ncnn", "it has an unknown layer")],
)
def test_a_network_that_a_backend_cannot_take_is_a_reason(
    model: Path, tmp_path: Path, name: str, words: str
) -> None:
    onnx = pytest.importorskip("onnx")
    proto = onnx.load(model)
    (last,) = (node for node in proto.graph.node if "probability" in node.output)
    last.output[0] = "before"
    proto.graph.node.append(onnx.helper.make_node("Hardmax", ["before"], ["probability"], axis=1))
    changed = tmp_path / "changed.onnx"
    onnx.save(proto, changed)
    (backend,) = (backend for backend in BACKENDS if backend.name == name)
    missing = missing_module(backend)
    if missing is not None:
        pytest.skip(f"{missing} is not installed")
    assert words in compare_offline(changed, None, [backend])[name]["reason"]
