"""Random changes of training images and their masks, so that a network sees each scan anew."""

import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.tv_tensors import Image, Mask

DEGREES = 10.0
SHIFT = 0.05
INTENSITY = 0.2

_CHANGES = v2.Compose(
    [
        v2.RandomHorizontalFlip(),
        v2.RandomVerticalFlip(),
        v2.RandomAffine(
            DEGREES, translate=(SHIFT, SHIFT), interpolation=v2.InterpolationMode.BILINEAR
        ),
        # After the move, since it also clips to [0, 1] what interpolation rounded beyond.
        v2.ColorJitter(brightness=INTENSITY, contrast=INTENSITY),
    ]
)


def augment(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Change each image of a batch, and its mask with it, by a draw of its own.

    An image and its mask are flipped from left to right and upside down with probability 1/2 each,
    rotated by up to 10 degrees and shifted by up to 5 per cent of each side; what comes in from
    outside is black, and background. The image's brightness and contrast are multiplied by 0.8 to
    1.2 each. Draws come from PyTorch's generator of the CPU, whatever the device.

    Args:
        images: float32 [N, 3, H, W] in [0, 1].
        masks: float32 [N, 1, H, W] of 0 and 1.

    Returns:
        The same shapes, types, ranges and device; images lie in memory as [N, H, W, 3].
    """
    pairs = [_CHANGES(Image(image), Mask(mask)) for image, mask in zip(images, masks, strict=True)]
    changed = torch.stack([image.as_subclass(Tensor) for image, _ in pairs])
    return (
        changed.contiguous(memory_format=torch.channels_last),
        torch.stack([mask.as_subclass(Tensor) for _, mask in pairs]),
    )
