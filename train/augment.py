"""Random changes of training images and their masks, different in each epoch."""

from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torchvision.transforms.v2 import Compose

DEGREES = 10.0
SHIFT = 0.05
INTENSITY = 0.2


def augment(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Change each image of a batch at random, and its mask with it.

    An image and its mask are flipped from left to right and upside down with probability 1/2 each,
    rotated by up to 10 degrees and shifted by up to 5 % of each side. Pixels from outside are black
    and background. The image's brightness and contrast are multiplied by 0.8 to 1.2 each. Random
    numbers come from PyTorch's generator of the CPU, on any device.

    Args:
        images: float32 [N, 3, H, W] in [0, 1].
        masks: float32 [N, 1, H, W] of 0 and 1.

    Returns:
        The same shapes, types, ranges and device; in memory, images are [N, H, W, 3].

    Example:
        >>> images, masks = augment(torch.rand(2, 3, 8, 8), torch.zeros(2, 1, 8, 8))
        >>> images.shape, masks.unique().tolist()
        (torch.Size([2, 3, 8, 8]), [0.0])
    """
    from torchvision.tv_tensors import Image, Mask

    change = _changes()
    pairs = [change(Image(image), Mask(mask)) for image, mask in zip(images, masks, strict=True)]
    changed = torch.stack([image.as_subclass(Tensor) for image, _ in pairs])
    return (
        changed.contiguous(memory_format=torch.channels_last),
        torch.stack([mask.as_subclass(Tensor) for _, mask in pairs]),
    )


@cache
def _changes() -> "Compose":
    # Not at the top: torchvision takes as long to import as PyTorch, and few processes augment.
    from torchvision.transforms import v2

    return v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.RandomAffine(
                DEGREES, translate=(SHIFT, SHIFT), interpolation=v2.InterpolationMode.BILINEAR
            ),
            # Last, since it also clips values that interpolation rounded to just outside [0, 1].
            v2.ColorJitter(brightness=INTENSITY, contrast=INTENSITY),
        ]
    )
