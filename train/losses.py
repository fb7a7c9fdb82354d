"""The losses: from logits and a mask of 0 and 1 to one number."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from train.config import Loss

SMOOTHING = 1.0
"""Pixels that the Dice loss takes as found, beside those that are."""


def dice_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Return the soft Dice loss, the mean over images of 1 - (2 Σ p y + s) / (Σ p + Σ y + s).

    p is the sigmoid of a logit, y the mask's value there, and the sums go over one image's pixels;
    after Milletari, Navab, Ahmadi 2016 (V-Net), with plain sums below as in Drozdzal et al. 2016.
    s is `SMOOTHING`, one pixel: with it an image without foreground has a loss, which is 0 where
    the network finds none, and beside a mask of hundreds of pixels it weighs nothing.

    Args:
        logits: float [N, 1, H, W].
        masks: 0 and 1, of the same shape and type.

    Returns:
        A scalar in [0, 1] of the same type.
    """
    probability = logits.sigmoid()
    both = (probability * masks).flatten(1).sum(1)
    found, wanted = probability.flatten(1).sum(1), masks.flatten(1).sum(1)
    return (1.0 - (2.0 * both + SMOOTHING) / (found + wanted + SMOOTHING)).mean()


def bce_dice_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Return the binary cross-entropy (mean over pixels) plus the soft Dice loss, a scalar."""
    return binary_cross_entropy_with_logits(logits, masks) + dice_loss(logits, masks)


@dataclass(frozen=True, slots=True)
class LossEntry:
    """A loss in the registry.

    Attributes:
        compute: from logits and masks, both float32 [N, 1, H, W], to a scalar that is a mean over
            images.
        title: what an exported file calls it.
    """

    compute: Callable[[Tensor, Tensor], Tensor]
    title: str


LOSSES: Mapping[Loss, LossEntry] = MappingProxyType(
    {
        "bce": LossEntry(binary_cross_entropy_with_logits, "binary cross-entropy"),
        "dice": LossEntry(dice_loss, "soft Dice"),
        "bce+dice": LossEntry(bce_dice_loss, "binary cross-entropy plus soft Dice"),
    }
)
