import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from export.cli import main
from export.description import describe_ensemble, describe_network
from export.onnx_export import export_checkpoints
from export.parity import certify, make_parity_cases, run_reference
from export.request import ExportRequest
from runtime.cli.evaluate import main as seg_eval
from runtime.core.errors import ConfigError, ParityError
from runtime.data.coco import Dataset
from runtime.model.metadata import InputSpec, Metadata
from runtime.model.onnx_file import read_onnx
from runtime.model.predictor import Predictor
from tests.support.conversions import ENSEMBLE, Conversions
from tests.support.small_backbones import use_small_backbones
from train.checkpoint import build_network, load_checkpoint, save_checkpoint
from train.network import SegmentationNetwork


@pytest.fixture(scope="module")
def members(
    conversions: Conversions, run_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Path]]:
    """A scratch network and a small ResNet34, each in a checkpoint of its own."""
    folder = tmp_path_factory.mktemp("members")
    networks, graph = conversions[ENSEMBLE]
    trained = load_checkpoint(run_folder / "best.pt")
    for name, network in zip(("one", "two"), networks, strict=True):
        config = replace(trained.config, arch=network.arch, width=network.width)
        member = replace(trained, config=config, weights=network.state_dict())
        save_checkpoint(folder / name / "best.pt", member)
    with pytest.MonkeyPatch.context() as patch:
        use_small_backbones(patch)
        patch.setattr("export.pipeline.convert", lambda *_: copy.deepcopy(graph))
        yield [folder / name / "best.pt" for name in ("one", "two")]


@pytest.fixture(scope="module")
def networks(members: list[Path]) -> list[SegmentationNetwork]:
    return [build_network(load_checkpoint(path), path) for path in members]


@pytest.fixture(scope="module")
def ensemble(members: list[Path], phantom: Path) -> Path:
    output = members[0].parents[1] / "both.onnx"
    folders = [path.parent for path in members]
    result = export(*folders, "--ensemble", "--out", output, "--data", phantom)
    assert result.exit_code == 0, result.output
    assert f"{output}: ensemble of one, two, " in result.output
    return output


def export(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments), "--threads", "1"])


def mean_of(
    networks: list[SegmentationNetwork], images: NDArray[np.float32]
) -> NDArray[np.float64]:
    with torch.no_grad():
        single = [
            torch.sigmoid(net.double()(torch.from_numpy(images).double())) for net in networks
        ]
    for network in networks:
        network.float()
    mean: NDArray[np.float64] = torch.stack(single).mean(0)[:, 0].numpy()
    return mean


@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 32, 32), (2, 64, 96)])
def test_the_file_gives_the_mean_of_its_members_probabilities(
    ensemble: Path, networks: list[SegmentationNetwork], shape: tuple[int, int, int]
) -> None:
    images = np.random.default_rng(0).random((shape[0], 3, *shape[1:]), np.float32)
    found = Predictor(ensemble).run(images)
    np.testing.assert_allclose(found, mean_of(networks, images), atol=1e-6)
    apart = np.abs(mean_of(networks[:1], images) - mean_of(networks[1:], images))
    assert apart.max() > 0.01


def test_the_file_is_one_of_the_toolkits(
    ensemble: Path, networks: list[SegmentationNetwork]
) -> None:
    proto = onnx.load(ensemble, load_external_data=False)
    onnx.checker.check_model(proto, full_check=True)
    assert {node.domain for node in proto.graph.node} == {""}
    assert all(not tensor.external_data for tensor in proto.graph.initializer)
    assert list(ensemble.parent.glob("*.data")) == []
    file = read_onnx(ensemble)
    assert [value.name for value in (*file.inputs, *file.outputs)] == ["image", "probability"]
    metadata = file.metadata
    assert metadata is not None
    assert (metadata.network.arch, metadata.name) == ("ensemble", "both")
    assert metadata.input == InputSpec(32, 32, multiple=32, view_height=64, view_width=64)
    assert metadata.training is None
    assert metadata.network.parameters == sum(
        parameter.numel() for network in networks for parameter in network.parameters()
    )
    assert metadata.network.macs == sum(member.network.macs for member in metadata.members)
    assert metadata.parity is not None
    assert metadata.parity.max_probability <= 1e-5
    assert len(file.digest) == 64


def test_each_member_is_described_as_in_a_file_of_its_own(
    ensemble: Path, members: list[Path], networks: list[SegmentationNetwork]
) -> None:
    metadata = read_onnx(ensemble).metadata
    assert metadata is not None
    for info, path, network in zip(metadata.members, members, networks, strict=True):
        own = describe_network(load_checkpoint(path), network, path.parent.name)
        assert (info.name, info.network) == (own.name, own.network)
        assert (info.training, info.encoder) == (own.training, own.encoder)


def test_a_file_is_scored_on_a_split(ensemble: Path, phantom: Path) -> None:
    result = CliRunner().invoke(seg_eval, [str(ensemble), "--data", str(phantom)])
    assert result.exit_code == 0, result.output
    assert "both" in result.output


def test_a_member_that_differs_gets_no_certificate(
    ensemble: Path, networks: list[SegmentationNetwork], phantom_data: Dataset
) -> None:
    model = onnx.load(ensemble)
    cases = make_parity_cases(phantom_data.split("valid"), (32, 32), 32, "boxes")
    certify(model, cases, run_reference(networks, cases), images_from="", threads=1)
    with pytest.raises(ParityError, match="logits differ"):
        # The mean is the same, so that only the logits tell.
        certify(model, cases, run_reference(networks[::-1], cases), images_from="", threads=1)
    doubled = run_reference([networks[0], networks[0]], cases)
    with pytest.raises(ParityError, match="probabilities differ"):
        certify(model, cases, doubled, images_from="", threads=1)


@pytest.mark.parametrize(
    ("multiples", "expected"), [((16, 32), 32), ((16, 16), 16), ((16, 0, 32), 0)]
)
def test_the_file_takes_the_sizes_that_all_members_take(
    run_folder: Path, multiples: tuple[int, ...], expected: int
) -> None:
    path = run_folder / "best.pt"
    checkpoint = load_checkpoint(path)
    member = describe_network(checkpoint, build_network(checkpoint, path), "n")
    described: list[Metadata] = [
        replace(member, input=replace(member.input, multiple=multiple)) for multiple in multiples
    ]
    assert describe_ensemble(described, "e").input.multiple == expected


@pytest.mark.parametrize("changes", [{"size": 64}, {"masks": "boxes"}, {}])
def test_networks_that_do_not_belong_together_are_refused(
    members: list[Path], tmp_path: Path, changes: dict[str, object]
) -> None:
    checkpoint = load_checkpoint(members[0])
    other = replace(checkpoint, config=replace(checkpoint.config, **changes))  # type: ignore[arg-type]
    save_checkpoint(tmp_path / "best.pt", other)
    reason = f"members of one {next(iter(changes))}" if changes else "the same network as "
    with pytest.raises(ConfigError, match=rf"best\.pt: .*{reason}"):
        export_checkpoints(ExportRequest([members[0], tmp_path / "best.pt"], tmp_path / "e.onnx"))
    assert not (tmp_path / "e.onnx").exists()


def test_one_network_is_no_ensemble(members: list[Path], tmp_path: Path) -> None:
    result = export(*members[:1], "--ensemble", "--out", tmp_path / "e.onnx")
    assert result.exit_code == 2
    assert "--ensemble needs at least two networks, found 1" in result.output


def test_several_checkpoints_are_no_ensemble_unless_asked_for(
    members: list[Path], tmp_path: Path
) -> None:
    result = export(*members, "--out", tmp_path / "e.onnx")
    assert result.exit_code == 2
    assert "--out needs a single CHECKPOINT, or --ensemble" in result.output
