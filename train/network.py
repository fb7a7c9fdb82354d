"""The networks: their common base, and the UNet of an encoder, a decoder and a 1x1 head."""

from importlib import import_module
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from runtime.core.errors import ConfigError, first_line
from train.architectures import ARCHITECTURES, find_architecture
from train.encoders import DoubleConv, Encoder, build_encoder

FULL_WIDTH = 64
FULL_SIZE = 256


class SegmentationNetwork(nn.Module):
    """Base of the networks: float [N, 3, H, W] in [0, 1] to logits [N, 1, H, W].

    Attributes:
        arch: the name of its architecture.
        width: channels of the first level.
        encoder: the part that can be frozen; None where there is none.
        encoder_frozen: whether it is.
        multiple: pixels; an input's height and width must be multiples of it.
        dynamic_size: whether one exported graph serves inputs of any height and width.
    """

    encoder: nn.Module | None
    multiple: int
    dynamic_size: bool

    def __init__(self, arch: str, width: int) -> None:
        super().__init__()
        self.arch = arch
        self.width = width
        self.encoder_frozen = False
        self._keeps_statistics = False

    def freeze_encoder(self) -> None:
        """Stop the encoder's gradients and keep its batch normalization in eval mode."""
        assert self.encoder is not None
        self.encoder_frozen = self._keeps_statistics = True
        self.encoder.requires_grad_(False)
        self.encoder.eval()

    def unfreeze_encoder(self) -> None:
        """Let a frozen encoder be trained from now on, except for its normalization's statistics.

        Batch normalization continues with the running mean and variance of the encoder's weights;
        its factors and offsets are trained. The decoder has learned on features with this
        normalization. A batch's own statistics would change them abruptly, and be noisy where a
        batch is small.
        """
        assert self.encoder is not None
        self.encoder_frozen = False
        self.encoder.requires_grad_(True)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set training mode; a frozen encoder stays in eval mode, so that its statistics stay."""
        super().train(mode)
        if self.encoder is not None and self.encoder_frozen:
            self.encoder.eval()
        elif self.encoder is not None and self._keeps_statistics:
            for module in self.encoder.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self


class UpConvolution(nn.ConvTranspose2d):
    """A 2x2 transposed convolution with stride 2, which doubles the size.

    Its outputs do not overlap, so it is a 1x1 convolution to four times the channels, whose results
    are put in their places. On a CPU, the gradient is several times faster to compute this way.
    In eval mode, and in an exported graph, it stays one operator.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 2, stride=2)

    def forward(self, image: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Return [N, outputs, 2H, 2W] from [N, inputs, H, W]."""
        if not self.training or image.device.type != "cpu":
            return super().forward(image, output_size)
        assert self.bias is not None
        weight = self.weight.permute(1, 2, 3, 0).reshape(-1, self.in_channels, 1, 1)
        spread = functional.conv2d(image, weight, self.bias.repeat_interleave(4))
        return functional.pixel_shuffle(spread, 2)


class DecoderStep(nn.Module):
    """Doubles the size: a 2x2 stride-2 transposed convolution, concatenation, two convolutions."""

    def __init__(self, inputs: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.up = UpConvolution(inputs, outputs)
        self.convs = DoubleConv(outputs + skip, outputs)

    def forward(self, coarse: Tensor, skip: Tensor | None) -> Tensor:
        """Return [N, outputs, 2H, 2W] from [N, inputs, H, W] and [N, skip, 2H, 2W] (or None)."""
        up = self.up(coarse)
        return self.convs(up if skip is None else torch.cat([skip, up], dim=1))  # type: ignore[no-any-return]


class UNet(SegmentationNetwork):
    """A segmentation network (Ronneberger, Fischer, Brox 2015; docs/architecture.md, section 2).

    Args:
        arch: a name in `train.architectures.ARCHITECTURES`, or "timm:NAME".
        width: channels of the scratch encoder's first level and of the decoder's last; the study's
            networks have 64.
        size: height and width of the input in pixels; only encoders that are built for one size
            need it.

    Raises:
        ConfigError: the encoder has no such backbone.

    Example:
        >>> network = UNet("scratch", width=2).eval()
        >>> network(torch.rand(1, 3, 32, 48)).shape
        torch.Size([1, 1, 32, 48])
    """

    encoder: Encoder

    def __init__(self, arch: str, width: int = FULL_WIDTH, size: int = FULL_SIZE) -> None:
        super().__init__(arch, width)
        self.encoder = build_encoder(arch, width, size)
        self.dynamic_size = self.encoder.dynamic_size
        # One step for each halving, the last without a skip where no feature is that fine.
        skips: list[int] = list(self.encoder.channels[-2::-1])
        skips += [0] * (self.encoder.finest_stride.bit_length() - 1)
        inputs = self.encoder.channels[-1]
        steps = []
        for level, skip in zip(reversed(range(len(skips))), skips, strict=True):
            outputs = width * 2**level
            steps.append(DecoderStep(inputs, skip, outputs))
            inputs = outputs
        self.decoder = nn.ModuleList(steps)
        self.multiple = 2 ** len(steps)
        self.head = nn.Conv2d(inputs, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [N, 1, H, W] of images, float [N, 3, H, W] in [0, 1]."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.encoder_frozen):
            features = self.encoder(images)
        hidden, *skips = reversed(features)
        for index, step in enumerate(self.decoder):
            hidden = step(hidden, skips[index] if index < len(skips) else None)
        return self.head(hidden)  # type: ignore[no-any-return]


def make_network(arch: str, width: int, size: int) -> SegmentationNetwork:
    """Return the network of an architecture, untrained.

    Args:
        arch: a name as in `train.architectures`. Code of MODULE in "MODULE:FUNCTION" is run.
        size: height and width of the input in pixels.

    Raises:
        ConfigError: there is no such network, or it takes no inputs of this size.
        MissingExtraError: its library is not installed.

    Example:
        >>> make_network("scratch", 4, 64).multiple
        16
    """
    architecture = find_architecture(arch)
    module, name = architecture.network.split(":")
    network = getattr(import_module(module), name)(arch, width, size)
    if size % network.multiple:
        raise ConfigError(
            f"size: expected a multiple of {network.multiple} for {arch}, found {size}"
        )
    if arch not in ARCHITECTURES:
        _check_parameters(network)
        if not any(parameter.is_meta for parameter in network.parameters()):
            _check_output(network, size)
    return cast(SegmentationNetwork, network)


def _check_parameters(network: SegmentationNetwork) -> None:
    if not any(True for _ in network.parameters()):
        raise ConfigError(f"arch {network.arch}: the network has no parameters to train")


def _check_output(network: SegmentationNetwork, size: int) -> None:
    """Raise ConfigError where an image does not give logits of its size."""
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            output = network(torch.zeros(1, 3, size, size))
    except Exception as error:  # whatever code of others raises
        raise ConfigError(
            f"arch {network.arch}: the network fails on an image of {size}x{size} "
            f"({first_line(error)})"
        ) from error
    finally:
        network.train(was_training)
    expected, found = [1, 1, size, size], list(getattr(output, "shape", ()))
    if not isinstance(output, Tensor) or found != expected:
        raise ConfigError(
            f"arch {network.arch}: expected logits of shape {expected} for one image, found "
            f"{found or type(output).__name__}"
        )
