"""The architectures: what a config, a command and a report need to know of a network.

It needs no PyTorch. A further encoder is one entry in the table, and the class that the entry
names. Networks of other libraries, and the user's own, need no entry: their names are

    timm:NAME              any backbone of timm with features at several scales, as the encoder
    smp:DECODER:ENCODER    a network of segmentation_models_pytorch
    MODULE:FUNCTION        the user's own, `FUNCTION(width)` returning a torch.nn.Module
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

from runtime.core.errors import ConfigError

TORCHVISION_LICENSE = "BSD-3-Clause (torchvision); trained on ImageNet, whose own terms apply"


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network by the name of its encoder, or a whole one.

    Attributes:
        name: as `--arch` takes it.
        help: one line on the encoder, for people.
        encoder: "module:class" of the UNet's encoder, imported when a network is built. None for a
            whole network.
        network: "module:class" of the network.
        multiple: pixels; the height and width of an input must be multiples of it.
        backbone: its library's name for the network inside the encoder; None where the encoder is
            trained from scratch.
        weights: torchvision's name of the backbone's ImageNet weights.
        weights_license: their license.
        batch_norm: whether the encoder normalizes over the batch, down to its coarsest feature.
        has_width: whether `width` changes the network.

    Example:
        >>> list(ARCHITECTURES)
        ['scratch', 'resnet34', 'resnet50', 'swin', 'segnext', 'unetr']
        >>> ARCHITECTURES["swin"].multiple, ARCHITECTURES["swin"].pretrained
        (32, True)
    """

    name: str
    help: str
    encoder: str | None
    network: str = "train.network:UNet"
    multiple: int = 32
    backbone: str | None = None
    weights: str = "IMAGENET1K_V1"
    weights_license: str | None = None
    batch_norm: bool = True
    has_width: bool = True

    @property
    def own(self) -> bool:
        """True for a user's own network, whose code a checkpoint must not run by itself."""
        return self.network == _OWN

    @property
    def label(self) -> str:
        """The name as a part of a file's name.

        Example:
            >>> find_architecture("timm:resnet10t.c3_in1k").label
            'unet-timm-resnet10t-c3_in1k'
        """
        prefix = "" if self.encoder is None else "unet-"
        return prefix + re.sub(r"\W+", "-", self.name)

    @property
    def pretrained(self) -> bool:
        """True if the encoder can take weights; `width` then changes the decoder only."""
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
            ),
            Architecture(
                "segnext",
                help="SegNeXt's MSCAN-T, without weights",
                encoder="train.mscan:MscanEncoder",
            ),
            Architecture(
                "unetr",
                help="UNETR in two dimensions, with torchvision's ViT-B/16",
                encoder=None,
                network="train.unetr:Unetr",
                multiple=16,
                backbone="vit_b_16",
                weights_license=TORCHVISION_LICENSE,
                batch_norm=False,
            ),
        )
    }
)
"""The architectures by name, in the order in which commands list them."""


_OWN = "train.own_network:OwnNetwork"
_TIMM = re.compile(r"timm:(?P<backbone>[\w.]+)")
_SMP = re.compile(r"smp:\w+:[\w-]+")
_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def find_architecture(name: str) -> Architecture:
    """Return the architecture of a name; nothing is imported.

    Raises:
        ConfigError: the name has none of the forms above. Names inside a library are checked when
            the network is built.

    Example:
        >>> find_architecture("timm:convnext_atto").multiple, find_architecture("my.nets:tiny").own
        (32, True)
        >>> find_architecture("scratsh")
        Traceback (most recent call last):
        ...
        runtime.core.errors.ConfigError: arch scratsh: unknown architecture; did you mean scratch?
    """
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    if (timm := _TIMM.fullmatch(name)) is not None:
        return Architecture(
            name, "timm's", encoder="train.timm_encoder:TimmEncoder", backbone=timm["backbone"]
        )
    if _SMP.fullmatch(name):
        return Architecture(
            name,
            "a network of segmentation_models_pytorch",
            encoder=None,
            network="train.smp_network:SmpNetwork",
            backbone=name.split(":")[2],
            has_width=False,
        )
    if _FUNCTION.fullmatch(name) and not name.startswith(("timm:", "smp:")):
        # Its multiple is known once it is built.
        return Architecture(name, "a user's own", encoder=None, network=_OWN, multiple=1)
    raise ConfigError(
        f"arch {name}: unknown architecture; {suggestion(name, ARCHITECTURES, FORMS)}"
    )


def is_architecture(name: str) -> bool:
    """Return whether a name has one of the forms above.

    Example:
        >>> is_architecture("scratch"), is_architecture("vgg")
        (True, False)
    """
    try:
        find_architecture(name)
    except ConfigError:
        return False
    return True


def suggestion(name: str, known: Collection[str], otherwise: str | None = None) -> str:
    """Return which known name was probably meant.

    Args:
        otherwise: what to use where no name is close; None lists all.

    Example:
        >>> suggestion("resnet5", ["resnet50", "swin"])
        'did you mean resnet50?'
    """
    close = get_close_matches(name, known, n=3)
    return (
        f"did you mean {' or '.join(close)}?" if close else f"use {otherwise or ', '.join(known)}"
    )


FORMS = f"{', '.join(ARCHITECTURES)}, timm:NAME, smp:DECODER:ENCODER or MODULE:FUNCTION"
"""The forms of a name, for messages."""


def architectures_help() -> str:
    """Return one sentence on all architectures, for `--help`.

    Example:
        >>> architectures_help().split(";")[0]
        "The network. scratch: the study's UNet, trained from scratch"
    """
    forms = {name: entry.help for name, entry in ARCHITECTURES.items()}
    forms["timm:NAME"] = "a backbone of timm as encoder"
    forms["smp:DECODER:ENCODER"] = "a network of segmentation_models_pytorch"
    forms["MODULE:FUNCTION"] = "your own, FUNCTION(width) returning a torch.nn.Module"
    return f"The network. {'; '.join(f'{name}: {text}' for name, text in forms.items())}."
