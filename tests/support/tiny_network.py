"""A user's network, `--arch tests.support.tiny_network:tiny_network`: a few layers of each kind."""

from torch import nn


def tiny_network(width: int) -> nn.Module:
    """Return a network that torch.compile captures in no time, unlike a UNet."""
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 1, 1)
    )
