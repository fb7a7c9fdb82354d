"""SegNeXt's encoder: multi-scale convolutional attention (Guo et al. 2022, arXiv 2209.08575)."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from train.architectures import Architecture
from train.encoders import IMAGENET_MEAN, IMAGENET_STD, Encoder, Normalize

CHANNELS = (32, 64, 160, 256)
DEPTHS = (3, 3, 5, 2)
EXPANSIONS = (8, 8, 4, 4)
"""Of MSCAN-T: channels, blocks, and how much wider the hidden layers are, by stage (table 2)."""
_STRIPS = (7, 11, 21)
_SCALE = 1e-2
"""Initial factor of each branch of a block."""


class MscanEncoder(Encoder):
    """MSCAN-T: 32, 64, 160, 256 channels at 1/4 to 1/32, without pretrained weights.

    Images are normalized with ImageNet's mean and standard deviation, as the authors do.
    """

    def __init__(self, architecture: Architecture, width: int, size: int) -> None:
        super().__init__()
        self.channels = CHANNELS
        self.finest_stride = 4
        self.normalize = Normalize(IMAGENET_MEAN, IMAGENET_STD)
        stem = nn.Sequential(
            *_halving(3, CHANNELS[0] // 2), nn.GELU(), *_halving(CHANNELS[0] // 2, CHANNELS[0])
        )
        self.embeddings = nn.ModuleList(
            [stem, *(nn.Sequential(*_halving(i, o)) for i, o in pairwise(CHANNELS))]
        )
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(channels, expansion) for _ in range(depth)))
            for channels, depth, expansion in zip(CHANNELS, DEPTHS, EXPANSIONS, strict=True)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for channels in CHANNELS)

    def forward(self, images: Tensor) -> list[Tensor]:
        """See `Encoder`."""
        hidden = self.normalize(images)
        features = []
        for embed, stage, norm in zip(self.embeddings, self.stages, self.norms, strict=True):
            hidden = stage(embed(hidden))
            hidden = norm(hidden.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            features.append(hidden)
        return features


class Block(nn.Module):
    """An attention and a feed-forward branch, each added to its input.

    Example:
        >>> Block(channels=4, expansion=2)(torch.rand(1, 4, 6, 5)).shape
        torch.Size([1, 4, 6, 5])
    """

    def __init__(self, channels: int, expansion: int) -> None:
        super().__init__()
        hidden = channels * expansion
        self.attention = nn.Sequential(nn.BatchNorm2d(channels), Attention(channels))
        self.feed_forward = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, hidden, 1),
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden),
            nn.GELU(),
            nn.Conv2d(hidden, channels, 1),
        )
        self.attention_scale = nn.Parameter(torch.full((channels, 1, 1), _SCALE))
        self.feed_forward_scale = nn.Parameter(torch.full((channels, 1, 1), _SCALE))

    def forward(self, images: Tensor) -> Tensor:
        """Return [N, C, H, W] from [N, C, H, W]."""
        hidden = images + self.attention_scale * self.attention(images)
        return hidden + self.feed_forward_scale * self.feed_forward(hidden)  # type: ignore[no-any-return]


class Attention(nn.Module):
    """Pixels weighted by strips of three lengths around them (equation 1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.GELU())
        self.local = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.strips = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, (1, k), padding=(0, k // 2), groups=channels),
                nn.Conv2d(channels, channels, (k, 1), padding=(k // 2, 0), groups=channels),
            )
            for k in _STRIPS
        )
        self.mix = nn.Conv2d(channels, channels, 1)
        self.last = nn.Conv2d(channels, channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return [N, C, H, W] from [N, C, H, W]."""
        values = self.first(images)
        near = self.local(values)
        weights = self.mix(near + sum(strip(near) for strip in self.strips))
        return images + self.last(weights * values)  # type: ignore[no-any-return]


def _halving(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.BatchNorm2d(outputs)
