"""Each field of an exported file's metadata against the checkpoint that it comes from."""

import json
from dataclasses import replace
from pathlib import Path

import onnx
import onnxruntime
import pytest

from export.description import describe_ensemble, describe_network
from export.onnx_export import is_exported
from runtime.data.volumes.spec import VolumeSpec
from runtime.model.metadata import KEY, Metadata, dump_metadata, parse_metadata
from runtime.model.onnx_file import read_onnx
from train.checkpoint import (
    Checkpoint,
    DataFacts,
    build_network,
    load_checkpoint,
    save_checkpoint,
)
from train.history import EpochRow
from train.network import SegmentationNetwork, UNet
from train.pretrained import EncoderWeights


@pytest.fixture(scope="module")
def network(run_folder: Path) -> SegmentationNetwork:
    return build_network(load_checkpoint(run_folder / "best.pt"), "best.pt")


@pytest.fixture(scope="module")
def checkpoint(run_folder: Path) -> Checkpoint:
    """A checkpoint in which no two numbers are equal."""
    made = load_checkpoint(run_folder / "best.pt")
    config = replace(
        made.config, masks="segmentation", epochs=9, batch_size=5, learning_rate=0.125, seed=77,
        loss="dice", augment=True, intensity=4095, resize="fit",
    )  # fmt: skip
    row = EpochRow(4, 0.1, 2.0, 3.0, 0.11, 0.12, 0.13, 0.14, 0.21, 0.22, 0.23, 0.24)
    data = DataFacts("scans", "abc", "CC0", {"train": 12, "valid": 6}, image_size=(300, 400))
    return replace(made, config=config, history=(row,), data=data, versions={"torch": "2.x"})


def test_training_is_described_as_it_was(
    checkpoint: Checkpoint, network: SegmentationNetwork
) -> None:
    about = describe_network(checkpoint, network, "net")
    assert (about.name, about.output.labels) == ("net", ("foreground",))
    assert (about.input.height, about.input.width, about.input.multiple) == (32, 32, 16)
    assert (about.input.intensity, about.input.resize) == (4095, "fit")
    assert (about.input.view_height, about.input.view_width) == (300, 400)
    assert (about.network.arch, about.network.width) == ("scratch", 4)
    training = about.training
    assert training is not None
    assert (training.data_name, training.data_sha256, training.data_license) == (
        "scans", "abc", "CC0"
    )  # fmt: skip
    assert (training.images, training.versions) == ({"train": 12, "valid": 6}, {"torch": "2.x"})
    assert (training.masks, training.epochs, training.best_epoch) == ("segmentation", 9, 4)
    assert (training.batch_size, training.learning_rate, training.seed) == (5, 0.125, 77)
    assert (training.optimizer, training.loss, training.augmented) == ("Adam", "soft Dice", True)
    assert training.validation == {"loss": 0.21, "precision": 0.22, "recall": 0.23, "iou": 0.24}
    assert (about.encoder, about.parity, about.license) == (None, None, None)


def test_the_rule_of_slices_goes_from_the_data_into_the_file(
    checkpoint: Checkpoint, network: SegmentationNetwork, tmp_path: Path
) -> None:
    spec = VolumeSpec("coronal", "window", -160.0, 240.0)
    data = replace(checkpoint.data, volumes=spec)
    save_checkpoint(tmp_path / "a.pt", replace(checkpoint, data=data))
    about = describe_network(load_checkpoint(tmp_path / "a.pt"), network, "net")
    assert parse_metadata(dump_metadata(about), "net").input.volumes == spec
    assert describe_ensemble([about, about], "both").input.volumes == spec
    assert describe_network(checkpoint, network, "net").input.volumes is None


def test_the_origin_of_an_encoder_is_stated(
    checkpoint: Checkpoint, network: SegmentationNetwork
) -> None:
    weights = EncoderWeights("a file", "digest", stride_in_1x1=False, license="MIT")
    encoder = describe_network(replace(checkpoint, encoder_weights=weights), network, "net").encoder
    assert encoder is not None
    assert (encoder.source, encoder.sha256, encoder.license) == ("a file", "digest", "MIT")
    assert not encoder.frozen


def test_an_ensemble_is_the_sum_of_its_members(
    checkpoint: Checkpoint, network: SegmentationNetwork
) -> None:
    first = describe_network(checkpoint, network, "first")
    second = replace(
        describe_network(checkpoint, network, "second"),
        input=replace(first.input, multiple=24),
        network=replace(first.network, parameters=1000, macs=500),
    )
    both = describe_ensemble([first, second], "both")
    assert (both.name, both.network.arch, both.network.width) == ("both", "ensemble", 0)
    assert both.network.parameters == first.network.parameters + 1000
    assert both.network.macs == first.network.macs + 500
    assert both.input.multiple == 48
    assert [member.name for member in both.members] == ["first", "second"]
    assert [member.training for member in both.members] == [first.training, second.training]
    fixed = replace(second, input=replace(second.input, multiple=0))
    assert describe_ensemble([first, fixed], "both").input.multiple == 0


def test_a_file_is_a_checkpoints_only_with_the_graph_of_its_certificate(
    run_folder: Path, model: Path, tmp_path: Path
) -> None:

    checkpoint = run_folder / "best.pt"
    assert is_exported(checkpoint, model)
    proto = onnx.load(model)
    changed = tmp_path / model.name
    for tensor in proto.graph.initializer:
        if tensor.name.endswith("head.bias"):
            values = onnx.numpy_helper.to_array(tensor) + 1
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(proto, changed)
    assert not is_exported(checkpoint, changed)
    assert not is_exported(checkpoint, tmp_path / "none.onnx")


def network_of(run_folder: Path) -> UNet:
    network = build_network(load_checkpoint(run_folder / "best.pt"), "best.pt")
    assert isinstance(network, UNet)
    return network


def session_of(model: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])


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
