"""From networks to a file: its certificate, and what fails on the way and leaves none."""

import copy
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

from export.onnx_export import export_checkpoints
from export.parity import (
    certify,
    make_parity_cases,
    run_reference,
)
from export.request import ExportRequest
from runtime.core.errors import ParityError
from runtime.data.coco import Dataset
from runtime.model.metadata import InputSpec
from runtime.model.onnx_file import read_onnx
from train.checkpoint import build_network, load_checkpoint
from train.network import UNet


def network_of(run_folder: Path) -> UNet:
    network = build_network(load_checkpoint(run_folder / "best.pt"), "best.pt")
    assert isinstance(network, UNet)
    return network


def test_a_network_that_differs_gets_no_certificate_and_no_file(
    run_folder: Path,
    converted_run: onnx.ModelProto,
    phantom: Path,
    phantom_data: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, model = network_of(run_folder), copy.deepcopy(converted_run)
    cases = make_parity_cases(phantom_data.split("valid"), (32, 32), network.multiple, "boxes")
    with torch.no_grad():
        network.head.bias.add_(0.001)  # type: ignore[union-attr]
    with pytest.raises(
        ParityError, match=r"probabilities differ from PyTorch's on .*: at most 1e-05 is allowed"
    ):
        certify(model, cases, run_reference([network], cases), images_from="", threads=1)
    monkeypatch.setattr("export.pipeline.convert", lambda *_: model)
    monkeypatch.setattr("export.onnx_export.build_network", lambda *_, **__: network)
    output = tmp_path / "m.onnx"
    output.write_text("an earlier file")
    with pytest.raises(ParityError, match="no file was written"):
        export_checkpoints(ExportRequest([run_folder / "best.pt"], output, data=phantom))
    assert output.read_text() == "an earlier file"
    assert list(tmp_path.iterdir()) == [output]


def disturb(model: onnx.ModelProto, weight: str) -> None:
    (tensor,) = (t for t in model.graph.initializer if t.name == weight)
    values = numpy_helper.to_array(tensor)
    tensor.CopyFrom(numpy_helper.from_array(values * np.float32(1.5), weight))


def test_an_export_that_fails_names_the_layer_and_writes_nothing(
    run_folder: Path,
    converted_run: onnx.ModelProto,
    phantom: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(networks: list[UNet], spec: InputSpec) -> onnx.ModelProto:
        model = copy.deepcopy(converted_run)
        disturb(model, "network.encoder.levels.1.0.weight")
        return model

    monkeypatch.setattr("export.pipeline.convert", broken)
    with pytest.raises(
        ParityError,
        match=r"first in layer network\.encoder\.levels\.1\.1 \(Conv\).*; no file was written",
    ):
        export_checkpoints(
            ExportRequest([run_folder / "best.pt"], tmp_path / "m.onnx", data=phantom)
        )
    assert list(tmp_path.iterdir()) == []


def session_of(model: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])


def test_the_certificate_holds_what_a_comparison_finds(
    run_folder: Path, model: Path, phantom_data: Dataset
) -> None:
    metadata = read_onnx(model).metadata
    assert metadata is not None
    assert metadata.parity is not None
    network, session = network_of(run_folder).double(), session_of(model)
    differences, count = [], 0
    cases = make_parity_cases(phantom_data.split("valid"), (32, 32), network.multiple, "boxes")
    for case in cases:
        with torch.no_grad():
            expected = torch.sigmoid(network(torch.from_numpy(case.inputs).double())).numpy()
        differences.append(np.abs(session.run(None, {"image": case.inputs})[0] - expected).ravel())
        count += len(case.inputs)
    found = np.concatenate(differences)
    parity = metadata.parity
    assert parity.tolerance_probability == 1e-5
    assert parity.max_probability <= 1e-5
    # Another number of threads may round otherwise.
    assert parity.max_probability == pytest.approx(found.max(), abs=1e-6)
    assert (parity.inputs, parity.pixels) == (count, found.size)
    assert parity.images == len(phantom_data.split("valid").samples)
    assert {case.inputs.shape[0] for case in cases} == {1, parity.images}
    assert len({case.inputs.shape[2:] for case in cases}) == 3
