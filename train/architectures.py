"""The table of architectures: what a config, a command and a report need to know of an encoder.

It needs no PyTorch. A further encoder is one entry here and the class that the entry names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

TORCHVISION_LICENSE = "BSD-3-Clause (torchvision); trained on ImageNet, whose own terms apply"


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network by the name of its encoder.

    Attributes:
        name: as `--arch` takes it.
        help: one line on the encoder, for people.
        encoder: "module:class" of the encoder, imported when a network is built.
        multiple: pixels; the height and width of an input must be multiples of it.
        backbone: torchvision's name for the network inside the encoder; None where the encoder is
            trained from scratch.
        weights: torchvision's name of the backbone's ImageNet weights.
        weights_license: their license.
        batch_norm: whether the encoder normalizes over the batch, down to its coarsest feature.
        dynamic_size: whether one exported graph serves inputs of any height and width.

    Example:
        >>> list(ARCHITECTURES)
        ['scratch', 'resnet34', 'resnet50', 'swin']
        >>> ARCHITECTURES["swin"].multiple, ARCHITECTURES["swin"].pretrained
        (32, True)
    """

    name: str
    help: str
    encoder: str
    multiple: int = 32
    backbone: str | None = None
    weights: str = "IMAGENET1K_V1"
    weights_license: str | None = None
    batch_norm: bool = True
    dynamic_size: bool = True

    @property
    def pretrained(self) -> bool:
        """True if ImageNet weights exist for the encoder; `width` then changes the decoder only."""
        return self.backbone is not None


ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        architecture.name: architecture
        for architecture in (
            Architecture(
                "scratch",
                help="the study's UNet, trained from scratch",
                encoder="train.encoders:ScratchEncoder",
                multiple=16,
            ),
            Architecture(
                "resnet34",
                help="torchvision's ResNet34",
                encoder="train.encoders:ResNetEncoder",
                backbone="resnet34",
                weights_license=TORCHVISION_LICENSE,
            ),
            Architecture(
                "resnet50",
                help="torchvision's ResNet50",
                encoder="train.encoders:ResNetEncoder",
                backbone="resnet50",
                weights_license=TORCHVISION_LICENSE,
            ),
            Architecture(
                "swin",
                help="torchvision's Swin-T",
                encoder="train.encoders:SwinEncoder",
                backbone="swin_t",
                weights_license=TORCHVISION_LICENSE,
                batch_norm=False,
                # Where a feature fits into one window, torchvision's code does not shift the
                # windows. A graph takes that decision once, for the size that it is made at, and
                # is wrong at a size where the other decision holds.
                dynamic_size=False,
            ),
        )
    }
)
"""The architectures by name, in the order in which commands list them."""

PRETRAINED = tuple(name for name, entry in ARCHITECTURES.items() if entry.pretrained)
"""The names of the architectures with ImageNet weights."""


def architectures_help() -> str:
    """Return one sentence on all architectures, for `--help`.

    Example:
        >>> architectures_help().split(";")[0]
        "The encoder. scratch: the study's UNet, trained from scratch"
    """
    return f"The encoder. {'; '.join(f'{a.name}: {a.help}' for a in ARCHITECTURES.values())}."
