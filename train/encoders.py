"""The encoders: each turns an image into a pyramid of features.

A further encoder is a class here, and one entry in `train.architectures.ARCHITECTURES`.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import cast
from urllib.error import URLError

import torch
from torch import Tensor, nn

from runtime.core.errors import ConfigError
from train.architectures import Architecture, find_architecture
from train.pretrained import EncoderWeights, Pretrained, download_failed, fitting

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class DoubleConv(nn.Sequential):
    """Two 3x3 convolutions, each followed by batch normalization and ReLU; the size stays.

    Example:
        >>> DoubleConv(3, 8)(torch.rand(2, 3, 6, 4)).shape
        torch.Size([2, 8, 6, 4])
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        # The convolutions carry no bias: batch normalization would subtract it again.
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class Normalize(nn.Module):
    """(x - mean) / std per channel: code outside the network need not know what an encoder wants.

    Example:
        >>> normalize = Normalize((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
        >>> normalize(torch.ones(1, 3, 1, 1)).flatten().tolist()
        [2.0, 2.0, 2.0]
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).reshape(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(1, -1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Normalize [N, C, H, W]."""
        return (images - self.mean) / self.std


class Encoder(nn.Module):
    """Base of the encoders.

    Attributes:
        channels: of the features, from the finest to the coarsest.
        finest_stride: pixels of the image per pixel of the finest feature, along a side: 1, 2 or 4.
        dynamic_size: whether one exported graph serves inputs of any height and width.

    Example:
        >>> encoder = build_encoder("scratch", 2, 32).eval()
        >>> [tuple(feature.shape[1:]) for feature in encoder(torch.rand(1, 3, 32, 32))]
        [(2, 32, 32), (4, 16, 16), (8, 8, 8), (16, 4, 4), (32, 2, 2)]
    """

    channels: tuple[int, ...]
    finest_stride: int
    dynamic_size: bool = True

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return features of images, each half the size of the previous one.

        Args:
            images: float [N, 3, H, W] in [0, 1].

        Returns:
            float [N, channels[i], H / stride, W / stride], with a stride of `finest_stride * 2**i`.
        """
        raise NotImplementedError


class ScratchEncoder(Encoder):
    """The study's encoder: w, 2w, 4w, 8w, 16w channels at 1 to 1/16 (Ronneberger et al. 2015)."""

    def __init__(self, architecture: Architecture, width: int, size: int) -> None:
        super().__init__()
        if architecture.pretrained:  # its weights would never be loaded
            raise ConfigError(f"arch {architecture.name}: ScratchEncoder has no backbone")
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


class TorchvisionEncoder(Encoder, Pretrained):
    """An encoder around a network of torchvision, for which ImageNet weights exist.

    Its channels are fixed by these weights. Parameters have torchvision's names below `backbone`.

    Args:
        architecture: the entry of the table, which names the network and its weights.
        options: of torchvision's network.

    Attributes:
        architecture: as given.
        model: torchvision's name of the network.
        classifier_prefixes: of the names of those weights that only a classifier needs.

    Raises:
        ConfigError: the entry names no network.
    """

    classifier_prefixes: tuple[str, ...]

    def __init__(
        self, architecture: Architecture, width: int, size: int, **options: object
    ) -> None:
        from torchvision.models import get_model

        super().__init__()
        if architecture.backbone is None:
            raise ConfigError(
                f"arch {architecture.name}: {type(self).__name__} needs a backbone in ARCHITECTURES"
            )
        self.architecture = architecture
        self.model = architecture.backbone
        self.normalize = Normalize(IMAGENET_MEAN, IMAGENET_STD)
        self.backbone = get_model(self.model, weights=None, **options)

    def download(self) -> tuple[Mapping[str, Tensor], EncoderWeights]:
        """See `Pretrained`."""
        from torchvision.models import get_model_weights

        weights = get_model_weights(self.model)[self.architecture.weights]
        try:
            state = weights.get_state_dict(progress=False, check_hash=True)
        except (URLError, OSError, RuntimeError) as error:
            raise download_failed("torchvision", error) from error
        return state, EncoderWeights(
            f"torchvision {weights}",
            "",
            stride_in_1x1=False,
            license=self.architecture.weights_license,
        )

    def load_backbone(self, state: Mapping[str, Tensor], where: str) -> None:
        """See `Pretrained`."""
        kept = {n: v for n, v in state.items() if not n.startswith(self.classifier_prefixes)}
        expected = self.backbone.state_dict()
        self.backbone.load_state_dict(fitting(kept, expected, f"torchvision's {self.model}", where))


class ResNetEncoder(TorchvisionEncoder):
    """torchvision's ResNet34 or ResNet50 (He et al. 2016), features at 1/2 to 1/32.

    ResNet34 has 64, 64, 128, 256, 512 channels, ResNet50 has 64, 256, 512, 1024, 2048.
    """

    classifier_prefixes = ("fc.",)

    def __init__(self, architecture: Architecture, width: int, size: int) -> None:
        super().__init__(architecture, width, size)
        deepest = int(self.backbone.fc.in_features)
        stages = (deepest >> level for level in (3, 2, 1, 0))
        self.channels = (int(self.backbone.conv1.out_channels), *stages)
        self.finest_stride = 2
        self.has_bottlenecks = self.backbone.layer1[0].expansion > 1
        del self.backbone.fc, self.backbone.avgpool

    def forward(self, images: Tensor) -> list[Tensor]:
        """See `Encoder`."""
        net = self.backbone
        stem = net.relu(net.bn1(net.conv1(self.normalize(images))))
        features = [stem, net.layer1(net.maxpool(stem))]
        for layer in (net.layer2, net.layer3, net.layer4):
            features.append(layer(features[-1]))
        return features

    def move_strides_to_1x1(self) -> None:
        """Move the strides of 2 to the first 1x1 convolution of a stage, as in ResNet v1.

        Weights of such networks (Keras, the original Caffe release) need it. Only blocks with
        bottlenecks have 1x1 convolutions there.
        """
        for layer in (self.backbone.layer2, self.backbone.layer3, self.backbone.layer4):
            layer[0].conv1.stride, layer[0].conv2.stride = (2, 2), (1, 1)


class SwinEncoder(TorchvisionEncoder):
    """torchvision's Swin-T (Liu et al. 2021): 96, 192, 384, 768 channels at 1/4 to 1/32.

    The features are the outputs of the stages, before the next one merges their pixels. In training
    mode, blocks are skipped at random (stochastic depth).
    """

    classifier_prefixes = ("head.", "norm.")
    # Where a feature fits into one window, torchvision's code does not shift the windows. A graph
    # takes that decision once, for the size that it is made at, and is wrong at a size where the
    # other decision holds.
    dynamic_size = False

    def __init__(self, architecture: Architecture, width: int, size: int) -> None:
        super().__init__(architecture, width, size)
        deepest = int(self.backbone.head.in_features)
        self.channels = tuple(deepest >> level for level in (3, 2, 1, 0))
        self.finest_stride = 4
        del self.backbone.head, self.backbone.norm

    def forward(self, images: Tensor) -> list[Tensor]:
        """See `Encoder`."""
        hidden = self.normalize(images)
        features = []
        for index, part in enumerate(self.backbone.features):
            hidden = part(hidden)
            if index % 2:  # a stage; the others cut the image into patches, or merge patches
                features.append(hidden.permute(0, 3, 1, 2))
        return features


def build_encoder(arch: str, width: int, size: int) -> Encoder:
    """Return the encoder of an architecture, untrained.

    Args:
        arch: a name in `ARCHITECTURES`, or "timm:NAME".
        width: channels of the first level; a pretrained encoder has channels of its own.
        size: height and width of the input in pixels.

    Raises:
        ConfigError: timm has no such backbone.

    Example:
        >>> build_encoder("scratch", 4, 64).channels
        (4, 8, 16, 32, 64)
    """
    architecture = find_architecture(arch)
    assert architecture.encoder is not None
    module, name = architecture.encoder.split(":")
    return cast(Encoder, getattr(import_module(module), name)(architecture, width, size))
