"""Networks that the toolkit does not bring: a user's own, from training to prediction."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from export.cli import main as export_onnx
from runtime.data.coco import Dataset
from runtime.model.predictor import Predictor
from train.checkpoint import build_network, load_checkpoint, save_checkpoint
from train.cli import main as train_unet
from train.own_network import OwnNetwork

SOURCE = """
import torch
from torch import nn

class Conv(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, 1, 1)

    def forward(self, images):
        return self.last(torch.relu(self.first(images)))

class BySize(Conv):
    multiple = 16

    def forward(self, images):
        logits = super().forward(images)
        return logits if images.shape[-1] < 48 else -logits

class ByContent(Conv):
    def forward(self, images):
        logits = super().forward(images)
        return logits if images.mean() < 0.5 else -logits
"""


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The current folder, with a user's module."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "export_nets.py").write_text(SOURCE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("train.resumable_run.draw_curves", lambda *_: None)
        yield folder
    sys.modules.pop("export_nets", None)


def train(phantom: Path, *options: str) -> Result:
    return CliRunner().invoke(
        train_unet,
        [
            *("--arch", "export_nets:Conv", "--data", str(phantom), "--out", "Conv"),
            *("--width", "2", "--size", "32", "--epochs", "1", "--threads", "1", *options),
        ],
    )


def export(name: str, *options: str) -> Result:
    return CliRunner().invoke(export_onnx, [name, "--threads", "1", *options])


def test_a_users_network_is_trained_resumed_exported_and_predicts(
    folder: Path, phantom: Path, phantom_data: Dataset
) -> None:
    assert train(phantom).exit_code == 0
    assert train(phantom, "--resume", "--epochs", "2").exit_code == 0
    # The checkpoint alone imports nothing.
    del sys.modules["export_nets"]
    refused = export("Conv")
    assert refused.exit_code == 2
    assert "export_nets:Conv makes, which only runs if you name it too" in refused.output
    assert export("Conv", "--arch", "other:Conv").exit_code == 2
    assert "export_nets" not in sys.modules
    assert not (folder / "Conv.onnx").exists()
    done = export("Conv", "--arch", "export_nets:Conv")
    assert done.exit_code == 0, done.output
    assert "takes inputs of 32x32 alone" in done.output
    checkpoint = load_checkpoint(Path("Conv/best.pt"))
    network = build_network(checkpoint, "Conv", own=["export_nets:Conv"])
    predictor = Predictor("Conv.onnx", threads=1)
    assert predictor.metadata is not None
    assert predictor.metadata.network.arch == "export_nets:Conv"
    images = np.random.default_rng(0).random((2, 3, 32, 32), np.float32)
    with torch.no_grad():
        expected = torch.sigmoid(network(torch.from_numpy(images)))
    np.testing.assert_allclose(predictor.run(images), expected[:, 0], atol=1e-6)
    assert predictor(phantom_data.split("test").samples[0].path).shape == (64, 64)


def save_as(name: str, run_folder: Path) -> None:
    """Save a checkpoint of another of the networks, with random weights."""
    trained = load_checkpoint(run_folder / "best.pt")
    config = replace(trained.config, arch=f"export_nets:{name}", width=2)
    with torch.random.fork_rng():
        weights = OwnNetwork(config.arch, config.width, config.size).state_dict()
    save_checkpoint(Path(name, "best.pt"), replace(trained, config=config, weights=weights))


def test_a_network_that_decides_by_size_is_exported_for_its_own(run_folder: Path) -> None:
    save_as("BySize", run_folder)
    done = export("BySize", "--arch", "export_nets:BySize")
    assert done.exit_code == 0, done.output
    assert "not possible for all sizes" in done.stderr
    assert "takes inputs of 32x32 alone" in done.output


def test_a_network_that_decides_by_content_is_refused_with_a_reason(
    folder: Path, run_folder: Path
) -> None:
    save_as("ByContent", run_folder)
    refused = export("ByContent", "--arch", "export_nets:ByContent")
    assert refused.exit_code == 1
    assert "PyTorch cannot convert the network: " in refused.output
    assert refused.output.strip().count("\n") <= 2
    assert not (folder / "ByContent.onnx").exists()
