"""Every setting of a training run, in one frozen record that is saved with its result."""

import math
from dataclasses import dataclass, fields
from typing import Any, get_args

from runtime.core.errors import ConfigError
from runtime.core.machine import MAX_THREADS
from runtime.data.samples import MaskKind
from train.choices import (
    ARCHITECTURES as ARCHITECTURES,
    Device as Device,
    Loss as Loss,
    Precision as Precision,
)

UNFREEZE_RATE = 1e-5
"""A hundredth of the study's rate, so that ImageNet's features are adjusted and not lost."""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """The settings; the defaults are the study's protocol.

    Attributes:
        data: folder of the data set.
        arch: which encoder, a name in `train.encoders.ENCODERS`.
        width: channels of the first level; 64 is the study's.
        size: height and width of the input in pixels.
        masks: whether the target is drawn from the boxes or from the segmentations.
        patience: epochs without a lower validation loss after which the learning rate is
            multiplied by `decay`.
        encoder_weights: for a pretrained encoder: "imagenet", "none", or a path.
        freeze_encoder: the encoder takes no gradient and keeps its batch normalization, up to
            `unfreeze_epoch`.
        precision: "auto" is bf16 on a CUDA device that has it, else float32.
        channels_last: keep tensors as [N, H, W, C] in memory.
        threads: for PyTorch on the CPU; 0 means as many as the process may use.
        loss: binary cross-entropy, soft Dice, or their sum.
        augment: flip, rotate, shift and relight the training images (`train.augment`).
        unfreeze_epoch: from this epoch on (1 is the first) a frozen encoder is trained too; 0 means
            never.
        unfreeze_learning_rate: of the encoder, at that epoch.
        compile: with `torch.compile`, whose rounding is another; needs a C++ compiler on the CPU.

    Raises:
        ConfigError: a setting is out of its range, or settings contradict each other.
    """

    data: str
    arch: str = "scratch"
    width: int = 64
    size: int = 256
    masks: MaskKind = "boxes"
    epochs: int = 25
    batch_size: int = 32
    learning_rate: float = 1e-3
    patience: int = 3
    decay: float = 0.1
    seed: int = 0
    encoder_weights: str = "none"
    freeze_encoder: bool = False
    device: Device = "auto"
    precision: Precision = "auto"
    channels_last: bool = True
    threads: int = 0
    # Later settings: a checkpoint from before them is read with these defaults.
    loss: Loss = "bce"
    augment: bool = False
    unfreeze_epoch: int = 0
    unfreeze_learning_rate: float = UNFREEZE_RATE
    compile: bool = False

    def __post_init__(self) -> None:
        choices: dict[str, tuple[str, ...]] = {
            "arch": ARCHITECTURES,
            "masks": get_args(MaskKind),
            "device": get_args(Device),
            "precision": get_args(Precision),
            "loss": get_args(Loss),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"{name}: expected one of {', '.join(allowed)}, found {getattr(self, name)!r}"
                )
        for name in ("width", "epochs", "batch_size", "patience"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: expected 1 or more, found {getattr(self, name)}")
        for name in ("seed", "threads", "unfreeze_epoch"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name}: expected 0 or more, found {getattr(self, name)}")
        if self.threads > MAX_THREADS:
            raise ConfigError(f"threads: expected up to {MAX_THREADS}, found {self.threads}")
        for name in ("learning_rate", "unfreeze_learning_rate"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name}: expected more than 0, found {getattr(self, name)}")
        if not 0.0 < self.decay < 1.0:
            raise ConfigError(f"decay: expected a value between 0 and 1, found {self.decay}")
        multiple = self.multiple
        if not multiple <= self.size <= 4096 or self.size % multiple:
            raise ConfigError(
                f"size: expected a multiple of {multiple} up to 4096 for {self.arch}, "
                f"found {self.size}"
            )
        if self.arch == "scratch" and (self.encoder_weights != "none" or self.freeze_encoder):
            raise ConfigError("arch scratch: expected no encoder weights and no frozen encoder")
        self._check_unfreezing()

    def _check_unfreezing(self) -> None:
        if not self.unfreeze_epoch:
            if self.unfreeze_learning_rate != UNFREEZE_RATE:
                raise ConfigError(
                    "unfreeze_learning_rate: expected an unfreeze_epoch beside it, found none"
                )
            return
        if not self.freeze_encoder:
            raise ConfigError(
                f"unfreeze_epoch {self.unfreeze_epoch}: expected a frozen encoder to unfreeze, "
                "found none"
            )
        if self.unfreeze_epoch > self.epochs:
            raise ConfigError(
                f"unfreeze_epoch: expected one of the {self.epochs} epochs, "
                f"found {self.unfreeze_epoch}"
            )

    @property
    def multiple(self) -> int:
        """What the input's size must be a multiple of."""
        return 16 if self.arch == "scratch" else 32

    @property
    def name(self) -> str:
        """The network's name, of which its folder and its exported file are called.

        What departs from the study's protocol follows the width: "unet-resnet50-w16-augment".
        """
        parts = ["unet", self.arch, f"w{self.width}"]
        if self.augment:
            parts.append("augment")
        if self.unfreeze_epoch:
            parts.append(f"unfreeze{self.unfreeze_epoch}")
        if self.loss != "bce":
            parts.append(self.loss.replace("+", "-"))
        return "-".join(parts)


def study_config(data: str, arch: str, **changes: Any) -> TrainConfig:
    """Return the study's protocol for `arch`, with `changes`.

    A pretrained encoder is frozen and starts from ImageNet weights, unless `changes` say otherwise;
    without weights it is trained.

    Raises:
        ConfigError: a setting is out of its range.
    """
    weights = changes.pop("encoder_weights", "none" if arch == "scratch" else "imagenet")
    frozen = changes.pop("freeze_encoder", weights != "none")
    return TrainConfig(
        data=data, arch=arch, encoder_weights=weights, freeze_encoder=frozen, **changes
    )


DEMO = {"width": 8, "size": 64, "epochs": 16, "batch_size": 8, "learning_rate": 3e-3}
"""What the demo changes: small enough to end within minutes on two cores."""


def demo_config(data: str, arch: str, **changes: Any) -> TrainConfig:
    """Return the demo's settings for `arch`, with `changes`. Raises ConfigError."""
    return study_config(data, arch, **{**DEMO, **changes})


def same_run(one: TrainConfig, other: TrainConfig) -> str | None:
    """Return the first setting that forbids to resume one run as the other, or None.

    More epochs may be asked for, and the data and the encoder's weights may have moved (their
    fingerprints are compared elsewhere).
    """
    moving = ("epochs", "data", "encoder_weights")
    names = (field.name for field in fields(TrainConfig) if field.name not in moving)
    return next((name for name in names if getattr(one, name) != getattr(other, name)), None)
