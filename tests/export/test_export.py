import copy
import json
import math
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from click.testing import CliRunner
from onnx import numpy_helper
from torchvision.models import get_model_weights

from export.cli import main
from export.conversion import count_macs, with_logit_outputs
from export.description import describe_network
from export.onnx_export import export_checkpoints, find_checkpoints
from export.parity import certify, make_parity_cases, run_reference
from export.request import ExportRequest, default_output
from runtime.core.errors import CheckpointError, ConfigError, DataError, ParityError
from runtime.data.coco import Dataset
from runtime.data.images import load_scan
from runtime.data.resizing import to_input
from runtime.model.metadata import KEY, Metadata, dump_metadata, parse_metadata
from runtime.model.onnx_file import read_onnx
from tests.support.conversions import Conversions
from train.checkpoint import build_network, load_checkpoint, save_checkpoint
from train.network import UNet
from train.pretrained import EncoderWeights


def network_of(run_folder: Path) -> UNet:
    network = build_network(load_checkpoint(run_folder / "best.pt"), "best.pt")
    assert isinstance(network, UNet)
    return network


def session_of(model: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])


def test_the_file_is_self_sufficient_standard_onnx(model: Path) -> None:
    proto = onnx.load(model, load_external_data=False)
    onnx.checker.check_model(proto, full_check=True)
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", 20)]
    assert {node.domain for node in proto.graph.node} == {""}
    assert not proto.functions
    assert all(not tensor.external_data for tensor in proto.graph.initializer)
    assert list(model.parent.glob("*.data")) == []
    assert proto.graph.node[-1].op_type == "Sigmoid"


def test_the_file_states_nothing_of_the_machine_that_made_it(model: Path) -> None:
    content = model.read_bytes()
    for trace in (Path(__file__).resolve().parents[2], Path(sys.prefix), Path.home()):
        assert str(trace).encode() not in content


def test_input_and_output_are_those_of_the_contract(model: Path) -> None:
    (image,), (probability,) = session_of(model).get_inputs(), session_of(model).get_outputs()
    assert (image.name, image.type, image.shape) == (
        "image",
        "tensor(float)",
        ["batch", 3, "height", "width"],
    )
    assert (probability.name, probability.type, probability.shape) == (
        "probability",
        "tensor(float)",
        ["batch", 1, "height", "width"],
    )


@pytest.mark.parametrize("arch", ["scratch", "resnet50"])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("size", [(64, 64), (96, 160)])
def test_networks_give_pytorchs_probabilities(
    arch: str,
    batch: int,
    size: tuple[int, int],
    phantom_data: Dataset,
    conversions: Conversions,
) -> None:
    (network,), graph = conversions[arch]
    samples = phantom_data.split("valid").samples[:batch]
    images = np.stack([to_input(load_scan(sample.path, size).pixels) for sample in samples])
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(["probability"], {"image": images})
    with torch.no_grad():
        expected = torch.sigmoid(network(torch.from_numpy(images))).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.std() > 0.0


def test_a_swin_graph_takes_any_batch_of_its_one_size(conversions: Conversions) -> None:
    # In the first stage a feature has windows of 7 with a rest, in the third it is within one.
    (network,), model = conversions["swin"]
    assert {node.domain for node in model.graph.node} == {""}
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for value in (*session.get_inputs(), *session.get_outputs()):
        assert (value.shape[0], *value.shape[2:]) == ("batch", 64, 64)
    for batch in (1, 2, 5):
        images = torch.rand(batch, 3, 64, 64)
        with torch.no_grad():
            expected = torch.sigmoid(network(images)).numpy()
        (found,) = session.run(None, {"image": images.numpy()})
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert found.std() > 0.1


@pytest.mark.parametrize(
    ("arch", "model"), [("resnet34", "resnet34"), ("resnet50", "resnet50"), ("swin", "swin_t")]
)
def test_macs_of_an_encoder_are_those_torchvision_states(arch: str, model: str) -> None:
    with torch.device("meta"):
        encoder = UNet(arch, 4).encoder.eval()
        found = count_macs(encoder, 224)
    # In thousand million, with the classifier's, which has a thousand outputs.
    classifier = 1000 * encoder.channels[-1]
    stated = get_model_weights(model)["IMAGENET1K_V1"].meta["_ops"]
    assert (found + classifier) / 1e9 == pytest.approx(stated, abs=0.001)


def test_an_image_gives_the_same_alone_and_in_a_batch(model: Path, phantom_data: Dataset) -> None:
    samples = phantom_data.split("train").samples[:8]
    images = np.stack([to_input(load_scan(sample.path, (64, 64)).pixels) for sample in samples])
    session = session_of(model)
    (together,) = session.run(None, {"image": images})
    for index in range(len(images)):
        (alone,) = session.run(None, {"image": images[index : index + 1]})
        np.testing.assert_allclose(alone[0], together[index], atol=1e-6)


def test_parameters_and_macs_are_those_of_the_graph(model: Path) -> None:
    metadata = read_onnx(model).metadata
    assert metadata is not None
    proto = onnx.load(model)
    for value in (proto.graph.input[0], proto.graph.output[0]):
        for side, length in zip(value.type.tensor_type.shape.dim, (1, 0, 32, 32), strict=True):
            if length:
                side.dim_value = length
    shapes = {
        value.name: [side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (
            *onnx.shape_inference.infer_shapes(proto).graph.value_info,
            *proto.graph.input,
            *proto.graph.output,
        )
    }
    weights = {tensor.name: tensor.dims for tensor in proto.graph.initializer}
    macs = 0
    for node in proto.graph.node:
        if node.op_type == "Conv":
            macs += math.prod(shapes[node.output[0]][2:]) * math.prod(weights[node.input[1]])
        elif node.op_type == "ConvTranspose":
            macs += math.prod(shapes[node.input[0]][2:]) * math.prod(weights[node.input[1]])
    assert metadata.network.macs == macs


def test_macs_grow_with_the_area(run_folder: Path) -> None:
    network = network_of(run_folder)
    assert count_macs(network, 64) == 4 * count_macs(network, 32)


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


def test_a_checkpoint_is_not_overwritten(run_folder: Path, phantom: Path) -> None:
    checkpoint = run_folder / "best.pt"
    before = checkpoint.read_bytes()
    with pytest.raises(ConfigError, match=r"best\.pt: an exported file's name must end in \.onnx"):
        export_checkpoints(ExportRequest([checkpoint], checkpoint, data=phantom))
    assert checkpoint.read_bytes() == before


def test_not_a_number_fails_the_gate(
    run_folder: Path, phantom_data: Dataset, converted_run: onnx.ModelProto
) -> None:
    network = network_of(run_folder)
    with torch.no_grad():
        network.head.bias.fill_(float("nan"))  # type: ignore[union-attr]
    cases = make_parity_cases(phantom_data.split("valid"), (32, 32), network.multiple, "boxes")
    model = copy.deepcopy(converted_run)
    (bias,) = (t for t in model.graph.initializer if t.name == "network.head.bias")
    bias.CopyFrom(numpy_helper.from_array(np.full(1, np.nan, np.float32), bias.name))
    with pytest.raises(ParityError, match="found nan"):
        certify(model, cases, run_reference([network], cases), images_from="", threads=1)


def test_the_logit_copy_leaves_the_model_as_it_is(converted_run: onnx.ModelProto) -> None:
    model = copy.deepcopy(converted_run)
    before = model.SerializeToString()
    changed = with_logit_outputs(model)
    onnx.checker.check_model(changed, full_check=True)
    assert model.SerializeToString() == before
    assert [output.name for output in changed.graph.output] == ["probability", "logit_0"]


def test_the_metadata_states_the_training(run_folder: Path, model: Path) -> None:
    checkpoint = load_checkpoint(run_folder / "best.pt")
    metadata = read_onnx(model).metadata
    assert metadata is not None
    assert metadata.training is not None
    assert metadata.name == "tiny"
    assert metadata.training.data_sha256 == checkpoint.data.sha256
    assert metadata.training.best_epoch == checkpoint.epoch
    assert metadata.training.validation["iou"] == checkpoint.history[-1].valid_iou
    assert metadata.network.parameters == sum(
        p.numel() for p in build_network(checkpoint, "best.pt").parameters()
    )
    text = session_of(model).get_modelmeta().custom_metadata_map[KEY]
    assert parse_metadata(text, "tiny.onnx") == metadata


def test_a_file_states_how_its_training_departed_from_the_studys(run_folder: Path) -> None:
    checkpoint = load_checkpoint(run_folder / "best.pt")
    network = network_of(run_folder)
    assert describe_network(checkpoint, network, "n").training is not None
    config = replace(checkpoint.config, loss="bce+dice", augment=True)
    training = describe_network(replace(checkpoint, config=config), network, "n").training
    assert training is not None
    assert training.loss == "binary cross-entropy plus soft Dice"
    assert training.augmented


@pytest.mark.parametrize(("unfrozen", "frozen"), [(0, True), (1, False), (2, False), (3, True)])
def test_an_encoder_is_frozen_in_a_file_if_it_was_until_the_best_epoch(
    run_folder: Path, unfrozen: int, frozen: bool
) -> None:
    checkpoint = load_checkpoint(run_folder / "last.pt")
    assert checkpoint.epoch == 2
    config = replace(
        checkpoint.config, arch="resnet34", freeze_encoder=True, epochs=3, unfreeze_epoch=unfrozen
    )
    weights = EncoderWeights("a test", "", stride_in_1x1=False)
    changed = replace(checkpoint, config=config, encoder_weights=weights)
    encoder = describe_network(changed, network_of(run_folder), "n").encoder
    assert encoder is not None
    assert encoder.frozen is frozen


def test_comparison_inputs_have_one_size_where_no_other_is_allowed(phantom_data: Dataset) -> None:
    cases = make_parity_cases(phantom_data.split("valid"), (32, 32), 0, "boxes")
    assert {case.inputs.shape[2:] for case in cases} == {(32, 32)}
    assert {case.inputs.shape[0] for case in cases} == {1, 4}


def test_metadata_without_the_fields_that_have_defaults_is_read(run_folder: Path) -> None:
    metadata = describe_network(
        load_checkpoint(run_folder / "best.pt"), network_of(run_folder), "n"
    )
    content = json.loads(dump_metadata(metadata))
    del content["members"], content["license"], content["training"]["augmented"]
    assert parse_metadata(json.dumps(content), "m") == metadata


def test_metadata_survives_json_and_later_minor_versions(run_folder: Path) -> None:
    checkpoint = load_checkpoint(run_folder / "best.pt")
    metadata = describe_network(checkpoint, network_of(run_folder), "n")
    content = json.loads(dump_metadata(metadata))
    content["schema"], content["later"] = "2.9", "a new field"
    assert parse_metadata(json.dumps(content), "m") == replace(metadata, schema="2.9")
    assert isinstance(metadata, Metadata)


def test_checkpoints_are_found_and_named_after_their_folders(run_folder: Path) -> None:
    (found,) = find_checkpoints(run_folder.parent)
    assert found == run_folder / "best.pt"
    assert default_output(found) == run_folder.parent / "tiny.onnx"
    with pytest.raises(CheckpointError, match=r"no finished run of train-unet \(best\.pt\)"):
        find_checkpoints(run_folder.parent / "cache")


def test_checkpoints_of_one_folder_are_refused_before_anything_is_written(
    run_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    result = CliRunner().invoke(main, [str(folder / "best.pt"), str(folder / "last.pt")])
    assert result.exit_code == 2
    assert "last.pt would replace the file of" in result.output
    assert list(tmp_path.iterdir()) == [folder]


def test_a_data_set_that_is_gone_is_named(run_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.onnx"
    with pytest.raises(DataError, match="gone: no such folder"):
        export_checkpoints(ExportRequest([run_folder / "best.pt"], output, data=tmp_path / "gone"))
    checkpoint = load_checkpoint(run_folder / "best.pt")
    moved = replace(checkpoint, config=replace(checkpoint.config, data="moved"))
    save_checkpoint(tmp_path / "best.pt", moved)
    with pytest.raises(DataError, match=r"best\.pt: .* no longer in moved; .*--data"):
        export_checkpoints(ExportRequest([tmp_path / "best.pt"], output))


def test_without_arguments_every_run_below_artifacts_is_exported(
    run_folder: Path, converted_once: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        (tmp_path / "artifacts" / name).mkdir(parents=True)
        (tmp_path / "artifacts" / name / "best.pt").write_bytes(
            (run_folder / "best.pt").read_bytes()
        )
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 0, result.output
    written = sorted(path.name for path in Path("artifacts").glob("*.onnx"))
    assert written == ["one.onnx", "two.onnx"]
    assert "probabilities differ by at most" in result.output
