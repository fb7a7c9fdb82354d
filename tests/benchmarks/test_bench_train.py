"""What training costs: a step in both memory formats, and an epoch beside a plain loop."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from jpeg_data import make_jpeg_data
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader

from runtime.coco import Dataset
from runtime.samples import Sample
from train.config import study_config
from train.data import Batches, decode_split
from train.epoch import train_epoch
from train.network import UNet

Example = tuple[torch.Tensor, torch.Tensor]
SIZE, BATCH, IMAGES = 128, 8, 64


@pytest.mark.benchmark(group="training step, scratch, width 8, 128x128, batch 8")
@pytest.mark.parametrize("layout", ["channels last", "channels first"])
def test_training_step(benchmark: BenchmarkFixture, layout: str) -> None:
    form = torch.channels_last if layout == "channels last" else torch.contiguous_format
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = UNet("scratch", 8).to(memory_format=form)
        images = torch.rand(8, 3, 128, 128).to(memory_format=form)
        masks = torch.randint(2, (8, 1, 128, 128)).float()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)

    def step() -> None:
        optimiser.zero_grad()
        binary_cross_entropy_with_logits(network(images), masks).backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    benchmark.extra_info["parameters"] = sum(p.numel() for p in network.parameters())
    benchmark.pedantic(step, rounds=10, warmup_rounds=2)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_jpeg_data(tmp_path_factory.mktemp("jpegs"), IMAGES)


def plain_epoch(data: Dataset, network: UNet, workers: int) -> Callable[[], None]:
    """Return an epoch as most tutorials have it: images are decoded each time they are needed."""

    def example(sample: Sample) -> Example:
        with Image.open(sample.path) as picture:
            pixels = np.asarray(picture.convert("RGB").resize((SIZE, SIZE)), np.float32) / 255.0
        mask = sample.mask((SIZE, SIZE)).astype(np.float32)
        return torch.from_numpy(pixels).permute(2, 0, 1), torch.from_numpy(mask)[None]

    class Scans(torch.utils.data.Dataset[Example]):
        def __len__(self) -> int:
            return IMAGES

        def __getitem__(self, index: int) -> Example:
            return example(data.split("train").samples[index])

    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    loader = DataLoader(
        Scans(), BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )

    def epoch() -> None:
        network.train()
        for images, masks in loader:
            optimiser.zero_grad()
            binary_cross_entropy_with_logits(network(images), masks).backward()  # type: ignore[no-untyped-call]
            optimiser.step()

    return epoch


def toolkit_epoch(data: Dataset, network: UNet, cache: Path) -> Callable[[], None]:
    config = study_config(str(data.root), "scratch", size=SIZE, batch_size=BATCH)
    network = network.to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    decoded = decode_split(data.split("train"), SIZE, "boxes", cache)
    batches = Batches(decoded, BATCH, torch.device("cpu"))

    def epoch() -> None:
        train_epoch(network, optimiser, batches, config, torch.float32, 1, lambda _: None)

    return epoch


@pytest.mark.benchmark(group="training epoch, scratch, 128x128, batch 8, JPEGs of 640x640")
@pytest.mark.parametrize("what", ["toolkit", "plain, no workers", "plain, 2 workers"])
@pytest.mark.parametrize("width", [8, 32])
def test_training_epoch(
    benchmark: BenchmarkFixture, data: Dataset, tmp_path: Path, width: int, what: str
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = UNet("scratch", width)
    if what == "toolkit":
        epoch = toolkit_epoch(data, network, tmp_path)
    else:
        epoch = plain_epoch(data, network, workers=2 if "2" in what else 0)
    benchmark.extra_info["images"] = IMAGES
    benchmark.pedantic(epoch, rounds=3, warmup_rounds=1)
