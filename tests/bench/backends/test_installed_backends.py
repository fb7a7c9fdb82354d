"""Each installed backend computes the same numbers, without access to the internet."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from bench.backends.backend import BACKENDS, Backend

ROOT = Path(__file__).resolve().parents[3]
OFFLINE = """if True:
    import json, sys
    from tests.support.no_network import refuse_network
    refuse_network()
    from bench.backends.compare import compare_backends
    from bench.backends.backend import BACKENDS, REFERENCE, BackendLimits
    from runtime.core.schema import to_dict
    model, checkpoint, name = sys.argv[1:]
    chosen = [backend for backend in BACKENDS if backend.name in (name, REFERENCE)]
    result = compare_backends(
        model,
        checkpoint=checkpoint or None,
        threads=1,
        backends=chosen,
        limits=BackendLimits(runs=2),
    )
    print(json.dumps([to_dict(backend) for backend in result.backends if backend.name == name][0]))
"""


def compare_offline(model: Path, checkpoint: Path | None, backend: Backend) -> dict[str, Any]:
    missing = [module for module in backend.modules if find_spec(module) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    ran = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(model), str(checkpoint or ""), backend.name],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    result: dict[str, Any] = json.loads(ran.stdout)
    return result


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
def test_it_gives_the_numbers_of_onnx_runtime(
    backend: Backend, model: Path, run_folder: Path
) -> None:
    found = compare_offline(model, run_folder, backend)
    assert found["reason"] == ""
    assert found["difference"] < 1e-4
    assert len(found["seconds"]) == 2
    assert found["versions"]


def test_pytorch_has_to_be_given_the_checkpoint_of_this_very_file(
    model: Path, run_folder: Path, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    (pytorch,) = (backend for backend in BACKENDS if backend.name == "pytorch")
    assert "give --checkpoint" in compare_offline(model, None, pytorch)["reason"]
    absent = compare_offline(model, tmp_path / "best.pt", pytorch)["reason"]
    assert "expected a checkpoint, found no file" in absent
    content = torch.load(run_folder / "best.pt", weights_only=True)
    content["weights"]["head.bias"] += 1.0
    torch.save(content, tmp_path / "best.pt")
    other = compare_offline(model, tmp_path, pytorch)
    assert other["reason"] == "probabilities differ by more than 0.001"
    assert other["difference"] > 0.01


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
    assert words in compare_offline(changed, None, backend)["reason"]
