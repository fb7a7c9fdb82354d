"""The UNet: an encoder, a decoder of similar steps, and a 1x1 head."""

import torch
from torch import Tensor, nn

from train.architectures import ARCHITECTURES
from train.encoders import DoubleConv, build_encoder

FULL_WIDTH = 64


class DecoderStep(nn.Module):
    """Doubles the size: a 2x2 stride-2 transposed convolution, concatenation, two convolutions."""

    def __init__(self, inputs: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(inputs, outputs, 2, stride=2)
        self.convs = DoubleConv(outputs + skip, outputs)

    def forward(self, coarse: Tensor, skip: Tensor | None) -> Tensor:
        """Return [N, outputs, 2H, 2W] from [N, inputs, H, W] and [N, skip, 2H, 2W] (or None)."""
        up = self.up(coarse)
        return self.convs(up if skip is None else torch.cat([skip, up], dim=1))  # type: ignore[no-any-return]


class UNet(nn.Module):
    """A segmentation network (Ronneberger, Fischer, Brox 2015; docs/architecture.md, section 2).

    Args:
        arch: a name in `train.architectures.ARCHITECTURES`.
        width: channels of the scratch encoder's first level and of the decoder's last; the study's
            networks have 64.

    Example:
        >>> network = UNet("scratch", width=2).eval()
        >>> network(torch.rand(1, 3, 32, 48)).shape
        torch.Size([1, 1, 32, 48])
    """

    def __init__(self, arch: str, width: int = FULL_WIDTH) -> None:
        super().__init__()
        self.arch = arch
        self.width = width
        self.encoder = build_encoder(arch, width)
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
        self.head = nn.Conv2d(inputs, 1, 1)
        self.encoder_frozen = False
        self._keeps_statistics = False

    @property
    def multiple(self) -> int:
        """Pixels; an input's height and width must be multiples of it."""
        return int(2 ** len(self.decoder))

    @property
    def dynamic_size(self) -> bool:
        """True if one exported graph serves inputs of any height and width."""
        return ARCHITECTURES[self.arch].dynamic_size

    def freeze_encoder(self) -> None:
        """Stop the encoder's gradients and keep its batch normalization in eval mode."""
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
        self.encoder_frozen = False
        self.encoder.requires_grad_(True)
        self.train(self.training)

    def train(self, mode: bool = True) -> "UNet":
        """Set training mode; a frozen encoder stays in eval mode, so that its statistics stay."""
        super().train(mode)
        if self.encoder_frozen:
            self.encoder.eval()
        elif self._keeps_statistics:
            for module in self.encoder.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [N, 1, H, W] of images, float [N, 3, H, W] in [0, 1]."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.encoder_frozen):
            features = self.encoder(images)
        hidden, *skips = reversed(features)
        for index, step in enumerate(self.decoder):
            hidden = step(hidden, skips[index] if index < len(skips) else None)
        return self.head(hidden)  # type: ignore[no-any-return]
