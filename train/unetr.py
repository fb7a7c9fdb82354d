"""UNETR in two dimensions: a vision transformer with a UNet's decoder (Hatamizadeh et al. 2021)."""

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torchvision.models.vision_transformer import interpolate_embeddings

from train.architectures import Architecture, find_architecture
from train.encoders import DoubleConv, TorchvisionEncoder
from train.network import DecoderStep, SegmentationNetwork

PATCH = 16
LAYERS = (3, 6, 9, 12)
"""The layers whose outputs the decoder takes, counted from 1 (section 3.1 of the paper)."""


class VitEncoder(TorchvisionEncoder):
    """torchvision's ViT-B/16 (Dosovitskiy et al. 2021): four features of 768 channels at 1/16.

    It is built for one size of input. Weights trained at another size fit, with positions
    interpolated.
    """

    classifier_prefixes = ("heads.",)
    dynamic_size = False

    def __init__(self, architecture: Architecture, width: int, size: int) -> None:
        super().__init__(architecture, width, size, image_size=size)
        self.side = size // PATCH
        self.channels = (int(self.backbone.hidden_dim),) * len(LAYERS)
        del self.backbone.heads

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return float [N, 768, H/16, W/16] for each of `LAYERS`, from [N, 3, H, W]."""
        net = self.backbone
        patches = net.conv_proj(self.normalize(images)).flatten(2).transpose(1, 2)
        tokens = torch.cat([net.class_token.expand(len(patches), -1, -1), patches], dim=1)
        hidden = net.encoder.dropout(tokens + net.encoder.pos_embedding)
        features = []
        for number, layer in enumerate(net.encoder.layers, start=1):
            hidden = layer(hidden)
            if number in LAYERS:
                last = net.encoder.ln(hidden) if number == LAYERS[-1] else hidden
                pixels = last[:, 1:].transpose(1, 2)
                features.append(pixels.unflatten(2, (self.side, self.side)))
        return features

    def load_backbone(self, state: Mapping[str, Tensor], where: str) -> None:
        """See `Pretrained`."""
        if "encoder.pos_embedding" in state:
            size = self.side * PATCH
            state = interpolate_embeddings(size, PATCH, dict(state))
        super().load_backbone(state, where)


class Upsampling(nn.Sequential):
    """A feature of the transformer at a finer scale: `steps` times twice the size.

    Example:
        >>> Upsampling(8, 4, steps=2)(torch.rand(1, 8, 3, 3)).shape
        torch.Size([1, 4, 12, 12])
    """

    def __init__(self, inputs: int, outputs: int, steps: int) -> None:
        channels = (inputs, *(outputs,) * steps)
        super().__init__(
            *(
                nn.Sequential(nn.ConvTranspose2d(i, o, 2, stride=2), DoubleConv(o, o))
                for i, o in pairwise(channels)
            )
        )


class Unetr(SegmentationNetwork):
    """UNETR in two dimensions (figure 2 of the paper), with ViT-B/16 as its encoder.

    Args:
        arch: "unetr".
        width: channels of the finest level.
        size: height and width of the input in pixels, a multiple of 16.
    """

    encoder: VitEncoder

    def __init__(self, arch: str, width: int, size: int) -> None:
        super().__init__(arch, width)
        self.encoder = VitEncoder(find_architecture(arch), width, size)
        self.multiple, self.dynamic_size = PATCH, False
        hidden = self.encoder.channels[-1]
        self.image = DoubleConv(3, width)
        # From the coarsest skip, at 1/8, to the finest, at 1/2.
        self.skips = nn.ModuleList(
            Upsampling(hidden, width * 2**level, steps=4 - level) for level in (3, 2, 1)
        )
        inputs = (hidden, 8 * width, 4 * width, 2 * width)
        self.decoder = nn.ModuleList(
            DecoderStep(channels, width * 2**level, width * 2**level)
            for channels, level in zip(inputs, (3, 2, 1, 0), strict=True)
        )
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [N, 1, H, W] of images, float [N, 3, H, W] in [0, 1]."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.encoder_frozen):
            *features, hidden = self.encoder(images)
        skips = [up(feature) for up, feature in zip(self.skips, reversed(features), strict=True)]
        for step, skip in zip(self.decoder, [*skips, self.image(images)], strict=True):
            hidden = step(hidden, skip)
        return self.head(hidden)  # type: ignore[no-any-return]
