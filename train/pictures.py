"""Pictures in a run's folder: the first batch as the network saw it, and validation predictions."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runtime.model.overlay import draw_overlay, write_picture
from train.augment import augment
from train.config import TrainConfig
from train.data import Batches
from train.determinism import seed_epoch
from train.network import SegmentationNetwork

FIRST_BATCH = "first-batch.png"
EVERY_EPOCHS = 5
_IMAGES = 16
_COLUMNS = 4
_SHOWN = 6


def predictions_file(epoch: int) -> str:
    """Return the name of an epoch's picture.

    Example:
        >>> predictions_file(5)
        'valid-epoch-005.png'
    """
    return f"valid-epoch-{epoch:03}.png"


def draw_first_batch(path: Path, batches: Batches, config: TrainConfig) -> None:
    """Write up to 16 images of the first training batch, augmented, with a line around each mask.

    PyTorch's generators are left as they were.

    Raises:
        OutputError: the picture cannot be written.
    """
    first = batches.indices((config.seed, 1))[0]
    ((images, masks),) = batches.load([first])
    with torch.random.fork_rng():
        seed_epoch(config.seed, 1)
        if config.augment:
            images, masks = augment(images, masks)
    nothing = torch.zeros_like(masks)
    tiles = _tiles(images[:_IMAGES], nothing[:_IMAGES], masks[:_IMAGES])
    write_picture(path, _grid(tiles, _COLUMNS))


def draw_predictions(path: Path, batches: Batches, network: SegmentationNetwork) -> None:
    """Write six validation images in two rows: with the mask, and with the prediction below.

    Raises:
        OutputError: the picture cannot be written.
    """
    count = len(batches.names)
    chosen = np.unique(np.linspace(0, count - 1, min(_SHOWN, count)).round().astype(np.int64))
    ((images, masks),) = batches.load([chosen])
    training = network.training
    network.eval()
    with torch.no_grad():
        probabilities = torch.sigmoid(network(images).float())
    network.train(training)
    nothing = torch.zeros_like(masks)
    upper, lower = _tiles(images, nothing, masks), _tiles(images, probabilities, nothing)
    write_picture(path, _grid([*upper, *lower], len(chosen)))


def _tiles(images: Tensor, probabilities: Tensor, masks: Tensor) -> list[NDArray[np.uint8]]:
    """Return each image with its probabilities and a line around its mask, uint8 [H, W, 3]."""
    pixels = (images.permute(0, 2, 3, 1).cpu().numpy() * 255.0).round().astype(np.uint8)
    maps, outlines = probabilities[:, 0].cpu().numpy(), masks[:, 0].cpu().numpy().astype(np.uint8)
    return [draw_overlay(*tile) for tile in zip(pixels, maps, outlines, strict=True)]


def _grid(tiles: list[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    """Return the tiles row by row, the last row filled up with black."""
    missing = -len(tiles) % columns
    filled = [*tiles, *[np.zeros_like(tiles[0])] * missing]
    rows = (filled[start : start + columns] for start in range(0, len(filled), columns))
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])
