"""The pictures in a run's folder, pixel by pixel against the batches that they show."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from runtime.data.coco import Dataset
from runtime.model.overlay import TARGET
from train.config import demo_config
from train.data import Batches, decode_split
from train.network import UNet
from train.pictures import draw_first_batch, draw_predictions


@pytest.fixture
def batches(phantom_data: Dataset, tmp_path: Path) -> Batches:
    decoded = decode_split(phantom_data.split("train"), 32, "segmentation", tmp_path / "cache")
    return Batches(decoded, 6, torch.device("cpu"))


def test_the_first_batch_is_the_one_that_the_network_saw(batches: Batches, tmp_path: Path) -> None:
    config = demo_config("phantom", "scratch", seed=3, size=32)
    state = torch.get_rng_state()
    draw_first_batch(tmp_path / "first.png", batches, config)
    assert torch.equal(torch.get_rng_state(), state)
    picture = np.asarray(Image.open(tmp_path / "first.png"))
    assert picture.shape == (2 * 32, 4 * 32, 3)  # six images in rows of four
    order = np.random.default_rng((3, 1)).permutation(16)
    ((images, masks),) = batches.load([order[:6]])
    for index in range(6):
        row, column = divmod(index, 4)
        tile = picture[32 * row : 32 * row + 32, 32 * column : 32 * column + 32]
        drawn = (tile == TARGET).all(axis=-1)
        expected = np.rint(images[index].permute(1, 2, 0).numpy() * 255.0)
        np.testing.assert_array_equal(tile[~drawn], expected[~drawn])
        assert drawn.any()
        assert not (drawn & (masks[index, 0].numpy() == 0)).any()
    assert not picture[32:, 64:].any()


def test_augmented_images_are_shown_augmented(batches: Batches, tmp_path: Path) -> None:
    for augment in (False, True):
        config = demo_config("phantom", "scratch", size=32, augment=augment)
        draw_first_batch(tmp_path / f"{augment}.png", batches, config)
    plain, augmented = (np.asarray(Image.open(tmp_path / f"{a}.png")) for a in (False, True))
    assert (plain != augmented).mean() > 0.1


def test_predictions_stand_below_their_masks(batches: Batches, tmp_path: Path) -> None:
    network = UNet("scratch", 2).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.head.bias = torch.nn.Parameter(torch.tensor([50.0]))  # foreground everywhere
    draw_predictions(tmp_path / "valid.png", batches, network)
    assert network.training
    for name, value in network.state_dict().items():
        assert name == "head.bias" or torch.equal(value, before[name])
    picture = np.asarray(Image.open(tmp_path / "valid.png")).astype(int)
    assert picture.shape == (2 * 32, 6 * 32, 3)
    red = picture[..., 0] - picture[..., 1]
    assert (red[33:63] > 0).mean() > 0.9
    assert (red[1:31] > 0).mean() < 0.1
