"""An epoch of the toolkit's training, and of a plain loop; each is to have a process of its own."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader

from runtime.core.machine import available_cores
from runtime.data.coco import Dataset, read_dataset
from runtime.data.samples import Sample
from train.config import study_config
from train.data import Batches, decode_split
from train.epoch import train_epoch
from train.memory import retain_memory
from train.network import UNet
from train.state import initialize_state

Example = tuple[torch.Tensor, torch.Tensor]
_epochs: list[Callable[[], None]] = []
_kept = ExitStack()


def prepare(root: Path, width: int, size: int, batch: int, workers: int | None) -> None:
    """Make the epoch that `run` is to run in this process.

    Args:
        workers: of a plain loop's DataLoader; None for the toolkit's training.
    """
    torch.manual_seed(0)
    torch.set_num_threads(available_cores())
    data = read_dataset(root)
    if workers is None:
        _kept.enter_context(retain_memory())
        _epochs.append(_toolkit(data, width, size, batch))
    else:
        _epochs.append(_plain(data, UNet("scratch", width), size, batch, workers))


def run() -> None:
    """Run the epoch once more."""
    _epochs[0]()


def _plain(data: Dataset, network: UNet, size: int, batch: int, workers: int) -> Callable[[], None]:
    """Return an epoch as most tutorials have it: images are decoded each time they are needed."""
    samples = data.split("train").samples

    def example(sample: Sample) -> Example:
        with Image.open(sample.path) as picture:
            pixels = np.asarray(picture.convert("RGB").resize((size, size)), np.float32) / 255.0
        mask = sample.mask((size, size), "boxes").astype(np.float32)
        return torch.from_numpy(pixels).permute(2, 0, 1), torch.from_numpy(mask)[None]

    class Scans(torch.utils.data.Dataset[Example]):
        def __len__(self) -> int:
            return len(samples)

        def __getitem__(self, index: int) -> Example:
            return example(samples[index])

    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    loader = DataLoader(
        Scans(), batch, shuffle=True, num_workers=workers, persistent_workers=workers > 0,
        multiprocessing_context="fork" if workers else None,
    )  # fmt: skip

    def epoch() -> None:
        network.train()
        for images, masks in loader:
            optimizer.zero_grad()
            binary_cross_entropy_with_logits(network(images), masks).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return epoch


def _toolkit(data: Dataset, width: int, size: int, batch: int) -> Callable[[], None]:
    config = study_config(
        str(data.root), "scratch", width=width, size=size, batch_size=batch, device="cpu"
    )
    state = initialize_state(config, torch.device("cpu"))
    decoded = decode_split(data.split("train"), size, "boxes", data.root / "cache")
    batches = Batches(decoded, batch, state.device)

    def epoch() -> None:
        train_epoch(state, batches, 1)

    return epoch
