from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from train.config import Loss
from train.losses import LOSSES, dice_loss

Doubles = NDArray[np.float64]


@pytest.fixture
def batch() -> tuple[Doubles, Doubles]:
    """Logits and masks [3, 1, 5, 7], the last mask empty."""
    rng = np.random.default_rng(0)
    masks = (rng.random((3, 1, 5, 7)) < 0.3).astype(float)
    masks[2] = 0.0
    return rng.normal(0.0, 3.0, (3, 1, 5, 7)), masks


def expected(loss: str, logits: Doubles, masks: Doubles) -> float:
    p, y = 1.0 / (1.0 + np.exp(-logits)), masks
    bce = -np.mean(y * np.log(p) + (1.0 - y) * np.log1p(-p))
    pixels = (1, 2, 3)
    overlap = 2.0 * (p * y).sum(axis=pixels) + 1.0
    dice = np.mean(1.0 - overlap / (p.sum(axis=pixels) + y.sum(axis=pixels) + 1.0))
    return float({"bce": bce, "dice": dice, "bce+dice": bce + dice}[loss])


@pytest.mark.parametrize("loss", get_args(Loss))
def test_a_loss_has_its_definitions_value(loss: Loss, batch: tuple[Doubles, Doubles]) -> None:
    logits, masks = (torch.from_numpy(value).float() for value in batch)
    found = LOSSES[loss].compute(logits, masks)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected(loss, *batch), rel=1e-5)


@pytest.mark.parametrize("loss", get_args(Loss))
def test_a_loss_is_the_mean_over_images(loss: Loss, batch: tuple[Doubles, Doubles]) -> None:
    logits, masks = (torch.from_numpy(value) for value in batch)
    compute = LOSSES[loss].compute
    alone = [compute(logits[i : i + 1], masks[i : i + 1]).item() for i in range(3)]
    assert compute(logits, masks).item() == pytest.approx(np.mean(alone))


@pytest.mark.parametrize("loss", get_args(Loss))
def test_gradients_are_right(loss: Loss, batch: tuple[Doubles, Doubles]) -> None:
    logits, masks = (torch.from_numpy(value) for value in batch)
    compute = LOSSES[loss].compute
    assert torch.autograd.gradcheck(lambda x: compute(x, masks), logits.requires_grad_())


@given(
    arrays(np.float32, (2, 1, 3, 4), elements=st.floats(-200, 200, width=32)),
    arrays(np.bool_, (2, 1, 3, 4)),
)
@settings(max_examples=200, deadline=None)
def test_the_dice_loss_is_a_share(logits: NDArray[np.float32], masks: NDArray[np.bool_]) -> None:
    loss = dice_loss(torch.from_numpy(logits), torch.from_numpy(masks).float()).item()
    assert 0.0 <= loss <= 1.0


def test_the_dice_loss_is_0_on_the_mask_itself_and_near_1_on_its_opposite() -> None:
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., :16] = 1.0
    surely = 200.0 * (2.0 * mask - 1.0)
    assert dice_loss(surely, mask).item() == 0.0
    assert dice_loss(-surely, mask).item() > 0.99
    empty = torch.zeros_like(mask)
    assert dice_loss(torch.full_like(mask, -200.0), empty).item() == 0.0
    assert dice_loss(torch.full_like(mask, 200.0), empty).item() > 0.99
