"""The encoders: each turns an image into a pyramid of features.

A further encoder is one entry in `ENCODERS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class DoubleConv(nn.Sequential):
    """Two 3x3 convolutions, each followed by batch normalisation and ReLU; the size stays."""

    def __init__(self, inputs: int, outputs: int) -> None:
        # The convolutions carry no bias: batch normalisation would subtract it again.
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class Normalise(nn.Module):
    """(x - mean) / std per channel, so that nothing outside the network has to know of it."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).reshape(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(1, -1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Normalise [N, C, H, W]."""
        return (images - self.mean) / self.std


class Encoder(nn.Module):
    """Base of the encoders.

    Attributes:
        channels: of the features, from the finest to the coarsest.
        finest_stride: image pixels to a side of the finest feature's pixel: 1 or 2.
    """

    channels: tuple[int, ...]
    finest_stride: int

    def forward(self, images: Tensor) -> list[Tensor]:
        """Turn float [N, 3, H, W] in [0, 1] into features, each half the size of the one before."""
        raise NotImplementedError


class ScratchEncoder(Encoder):
    """The study's own: w, 2w, 4w, 8w, 16w channels at 1 to 1/16 (Ronneberger et al. 2015)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.channels = tuple(width * 2**level for level in range(5))
        self.finest_stride = 1
        inputs = (3, *self.channels[:-1])
        self.levels = nn.ModuleList(
            DoubleConv(i, o) for i, o in zip(inputs, self.channels, strict=True)
        )
        self.pool = nn.MaxPool2d(2)

    def forward(self, images: Tensor) -> list[Tensor]:
        """See `Encoder`."""
        features = [self.levels[0](images)]
        for level in list(self.levels)[1:]:
            features.append(level(self.pool(features[-1])))
        return features


class ResNet50Encoder(Encoder):
    """torchvision's ResNet50 (He et al. 2016): 64, 256, 512, 1024, 2048 channels at 1/2 to 1/32.

    `width` does not change it, since its weights come from elsewhere. Parameters have
    torchvision's names below `backbone`.
    """

    def __init__(self, width: int) -> None:
        from torchvision.models import resnet50

        super().__init__()
        self.channels = (64, 256, 512, 1024, 2048)
        self.finest_stride = 2
        self.normalise = Normalise(IMAGENET_MEAN, IMAGENET_STD)
        self.backbone = resnet50(weights=None)
        del self.backbone.fc, self.backbone.avgpool

    def forward(self, images: Tensor) -> list[Tensor]:
        """See `Encoder`."""
        net = self.backbone
        stem = net.relu(net.bn1(net.conv1(self.normalise(images))))
        features = [stem, net.layer1(net.maxpool(stem))]
        for layer in (net.layer2, net.layer3, net.layer4):
            features.append(layer(features[-1]))
        return features

    def move_strides_to_1x1(self) -> None:
        """Put the strides of 2 on the first 1x1 convolution of a stage, as in ResNet v1.

        Weights that were trained so (Keras, the original Caffe release) need it.
        """
        for layer in (self.backbone.layer2, self.backbone.layer3, self.backbone.layer4):
            layer[0].conv1.stride, layer[0].conv2.stride = (2, 2), (1, 1)


@dataclass(frozen=True, slots=True)
class EncoderEntry:
    """An encoder in the registry.

    Attributes:
        build: makes it, given the width of the scratch encoder's first level.
        pretrained: whether `--encoder-weights` applies to it.
    """

    build: Callable[[int], Encoder]
    pretrained: bool


ENCODERS: Mapping[str, EncoderEntry] = MappingProxyType(
    {
        "scratch": EncoderEntry(ScratchEncoder, pretrained=False),
        "resnet50": EncoderEntry(ResNet50Encoder, pretrained=True),
    }
)
