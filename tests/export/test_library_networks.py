"""Networks of other libraries, drawn at random: each becomes a file, or a sentence."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from export.onnx_export import export_checkpoints
from export.request import ExportRequest
from runtime.core.errors import SegmentationError
from train.checkpoint import load_checkpoint, save_checkpoint
from train.config import demo_config
from train.network import SegmentationNetwork, make_network

SIZE = 64
LARGEST = 40_000_000
"""Parameters; larger networks take minutes each."""

timm = pytest.importorskip("timm")
smp = pytest.importorskip("segmentation_models_pytorch")


def names_of_timm() -> list[str]:
    return [f"timm:{name}" for name in random.Random(0).sample(timm.list_models(), 40)]


def names_of_smp() -> list[str]:
    chosen = random.Random(0)
    decoders = sorted(smp.MODEL_ARCHITECTURES_MAPPING)
    encoders = sorted(smp.encoders.get_encoder_names())
    return [f"smp:{chosen.choice(decoders)}:{chosen.choice(encoders)}" for _ in range(20)]


def trial(arch: str, run: Path, phantom: Path, folder: Path) -> tuple[str, bool]:
    """Return what became of a network, and whether it has a file."""
    with torch.device("meta"):
        network = make_network(arch, 4, SIZE)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    if parameters > LARGEST:
        return f"not tried, {parameters / 1e6:.0f} M parameters", False
    like = load_checkpoint(run / "best.pt")
    config = demo_config(str(phantom), arch, width=4, size=SIZE, encoder_weights="none")
    checkpoint = replace(
        like,
        config=replace(config, masks=like.config.masks),
        weights=prepared(arch).state_dict(),
    )
    save_checkpoint(folder / "net" / "best.pt", checkpoint)
    request = ExportRequest([folder / "net" / "best.pt"], folder / "net.onnx", threads=1)
    metadata = export_checkpoints(request).metadata
    assert metadata.parity is not None
    sizes = "all sizes" if metadata.input.multiple else "its own size"
    return f"{sizes}, probabilities differ by {metadata.parity.max_probability:.1e}", True


def prepared(arch: str) -> SegmentationNetwork:
    """Return a network whose normalization has statistics of images."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        network = make_network(arch, 4, SIZE)
        for _ in range(2):
            network.train()(torch.rand(4, 3, SIZE, SIZE))
    return network.eval()


@pytest.mark.parametrize(("names", "wanted"), [(names_of_timm, 10), (names_of_smp, 5)])
def test_networks_of_a_library_are_exported_or_refused_in_a_sentence(
    names: Callable[[], list[str]],
    wanted: int,
    run_folder: Path,
    phantom: Path,
    tmp_path: Path,
    report: Callable[[str], None],
    long: bool,
) -> None:
    if not long:
        pytest.skip("takes minutes: --long")
    exported = 0
    for arch in names():
        try:
            found, is_exported = trial(arch, run_folder, phantom, tmp_path)
        except SegmentationError as error:
            found, is_exported = f"refused: {error}", False
        assert "\n" not in found
        report(f"{arch}: {found}")
        exported += is_exported
        if exported == wanted:
            break
    assert exported == wanted
