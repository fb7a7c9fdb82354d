"""The losses: functions of logits and masks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from train.config import Loss

SMOOTHING = 1.0
"""Pixels that the Dice loss counts in addition, in its numerator and its denominator."""


def dice_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Return the soft Dice loss, the mean over images of 1 - (2 Σ p y + s) / (Σ p + Σ y + s).

    p is the sigmoid of a logit and y the mask's value; the sums run over the pixels of one image
    (Milletari, Navab, Ahmadi 2016, V-Net, with plain sums below as in Drozdzal et al. 2016).
    s is `SMOOTHING`, one pixel: it gives images without foreground a loss, which is 0 where the
    network finds none, and hardly changes that of a mask of hundreds of pixels.

    Args:
        logits: float [N, 1, H, W].
        masks: 0 and 1, of the same shape and type.

    Returns:
        A scalar in [0, 1] of the same type.

    Example:
        >>> import torch
        >>> logits, masks = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
        >>> round(dice_loss(logits, masks).item(), 4)  # 1 - (2 * 2 + 1) / (2 + 4 + 1)
        0.2857
    """
    probability = logits.sigmoid()
    overlap = (probability * masks).flatten(1).sum(1)
    total = probability.flatten(1).sum(1) + masks.flatten(1).sum(1)
    return (1.0 - (2.0 * overlap + SMOOTHING) / (total + SMOOTHING)).mean()


def bce_dice_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Return the binary cross-entropy (mean over pixels) plus the soft Dice loss, a scalar.

    Args:
        logits: float [N, 1, H, W].
        masks: 0 and 1, of the same shape and type.

    Example:
        >>> import torch
        >>> logits, masks = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
        >>> round(bce_dice_loss(logits, masks).item(), 4)  # ln 2 and the Dice loss
        0.9789
    """
    return binary_cross_entropy_with_logits(logits, masks) + dice_loss(logits, masks)


@dataclass(frozen=True, slots=True)
class LossEntry:
    """A loss in the registry.

    Attributes:
        compute: from logits and masks, both float32 [N, 1, H, W], to a scalar that is a mean over
            images.
        title: in the metadata of an exported file.
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
