"""The settings of a training run, in one frozen record that is saved with its result.

It needs neither numpy nor PyTorch, so that a command's `--help` is quick.
"""

from dataclasses import dataclass, fields
from typing import Any, Literal

from runtime.core.errors import ConfigError
from runtime.core.settings import (
    CATEGORIES_HELP,
    MASKS_HELP,
    RESIZE_HELP,
    EmptyImages,
    MaskChoice,
    MaskKind,
    Resize,
    check_settings,
    setting,
    threads_setting,
)
from train.architectures import Architecture, architectures_help, find_architecture

Device = Literal["auto", "cpu", "cuda"]
Loss = Literal["bce", "dice", "bce+dice"]
Arithmetic = Literal["float32", "bf16"]
TrainingPrecision = Literal["auto", "float32", "bf16"]

MAX_SIZE = 4096
UNFREEZE_RATE = 1e-5
"""A hundredth of the study's rate, so that ImageNet's features are adjusted and not lost."""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """The settings of a training run; the defaults are the study's protocol.

    Attributes:
        data: folder of the data set.
        arch: a name as in `train.architectures`.
        width: channels of the first level; the study's networks have 64.
        size: height and width of the input in pixels.
        resize: how images become inputs (`runtime.data.framing`). With "tile", a window shows as
            many pixels of an image as the input has.
        masks: what the target is drawn from; "auto" is settled by the data set
            (`runtime.data.targets`), and a checkpoint holds the kind that was used.
        categories: names of the categories that are foreground; empty for all.
        empty: "drop" skips images of train and valid that have no annotation of any category.
        learning_rate: of Adam, in the first epoch.
        patience: epochs without a lower validation loss after which the learning rate is
            multiplied by `decay`.
        encoder_weights: for a pretrained encoder: "imagenet", "none", or a path.
        freeze_encoder: the encoder takes no gradient and keeps its batch normalization, up to
            `unfreeze_epoch`.
        unfreeze_epoch: from this epoch on (1 is the first) a frozen encoder is trained too; 0 means
            never.
        unfreeze_learning_rate: of the encoder, in that epoch.
        precision: "auto" is settled by the device (`train.state.choose_precision`), and a
            checkpoint holds the arithmetic that was used.
        channels_last: keep tensors as [N, H, W, C] in memory.
        compile: use `torch.compile`, which rounds differently; on the CPU it needs a C++ compiler.
        intensity: level of 16-bit gray images that is white; None for what each image states, or
            65535 (`runtime.data.levels`).
        threads: of PyTorch on the CPU; None means the cores that this process may use.

    Raises:
        ConfigError: a setting is out of its range, or settings contradict each other.

    Example:
        >>> config = TrainConfig(data="scans", arch="scratch", width=16, augment=True)
        >>> config.name, config.multiple, config.epochs
        ('unet-scratch-w16-augment', 16, 25)
        >>> TrainConfig(data="scans", size=250)
        Traceback (most recent call last):
        runtime.core.errors.ConfigError: size: expected a multiple of 16 for scratch, found 250
    """

    data: str
    arch: str = setting("scratch", help=architectures_help(), metavar="NAME")
    width: int = setting(64, help="Channels of the first level.", minimum=1)
    size: int = setting(
        256, help="Height and width of the input, in pixels.", minimum=1, maximum=MAX_SIZE
    )
    resize: Resize = setting("stretch", help=RESIZE_HELP)
    masks: MaskChoice = setting("auto", help=MASKS_HELP)
    categories: tuple[str, ...] = setting(
        (), help=CATEGORIES_HELP, option="--category", metavar="NAME"
    )
    empty: EmptyImages = setting(
        "keep",
        help="Images without annotations: keep them as images of nothing, or drop them because "
        "annotations are missing.",
    )
    epochs: int = setting(25, help="Passes over the training images.", minimum=1)
    batch_size: int = setting(32, help="Images per step.", minimum=1)
    loss: Loss = setting("bce", help="Binary cross-entropy, soft Dice, or their sum.")
    augment: bool = setting(
        False, help="Flip, rotate, shift, brighten and darken the training images at random."
    )
    learning_rate: float = setting(1e-3, help="Of Adam, at the start.", above=0)
    patience: int = setting(
        3,
        help="Epochs without a lower validation loss until the learning rate falls.",
        minimum=1,
    )
    decay: float = setting(
        0.1, help="The factor of the learning rate when it falls.", above=0, below=1
    )
    encoder_weights: str = setting(
        "none",
        help="For all but scratch: torchvision's download, no weights, or a .safetensors or .pth "
        "file.",
        metavar="imagenet|none|FILE",
        default_text="imagenet",
    )
    freeze_encoder: bool = setting(
        False,
        help="Train the decoder only, or the encoder too.",
        option="--freeze-encoder/--train-encoder",
        default_text="frozen if it has weights",
    )
    unfreeze_epoch: int = setting(
        0,
        help="Train a frozen encoder too from epoch N on.",
        option="--unfreeze",
        default_text="never",
        minimum=0,
    )
    unfreeze_learning_rate: float = setting(
        UNFREEZE_RATE,
        help="Learning rate of the encoder in that epoch.",
        option="--unfreeze-rate",
        default_text="0.00001",
        above=0,
    )
    seed: int = setting(0, help="Seed of the weights, the order and the augmentation.", minimum=0)
    device: Device = setting(
        "auto", help="Where to train; auto takes a CUDA device if there is one."
    )
    precision: TrainingPrecision = setting(
        "auto",
        help="Arithmetic of the network.",
        default_text="auto: bf16 on a GPU that has it or a CPU with AMX, else float32",
    )
    channels_last: bool = setting(
        True,
        help="Layout of tensors in memory.",
        option="--channels-last/--channels-first",
        default_text="channels last",
    )
    compile: bool = setting(
        False, help="Compile the network with torch.compile first: for long runs on a GPU."
    )
    threads: int | None = threads_setting()
    intensity: int | None = setting(
        None,
        help="Level of 16-bit gray images that is white, such as 4095 for 12 bits.",
        default_text="what each image states, or 65535",
        minimum=1,
        maximum=65535,
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if self.size % self.multiple:
            raise ConfigError(
                f"size: expected a multiple of {self.multiple} for {self.arch}, found {self.size}"
            )
        if not self.architecture.pretrained and self.encoder_weights != "none":
            raise ConfigError(f"arch {self.arch}: this network takes no encoder weights")
        if self.freeze_encoder and not (self.architecture.pretrained or self.architecture.own):
            raise ConfigError(f"arch {self.arch}: this encoder cannot be frozen")
        if self.batch_size < self.smallest_batch:
            raise ConfigError(
                f"batch_size: at size {self.size} batch normalization needs at least 2 images, "
                f"found {self.batch_size}; give a larger batch or size"
            )
        self._check_unfreezing()

    def _check_unfreezing(self) -> None:
        if not self.unfreeze_epoch:
            if self.unfreeze_learning_rate != UNFREEZE_RATE:
                raise ConfigError("unfreeze_learning_rate: needs an unfreeze_epoch")
            return
        if not self.freeze_encoder:
            raise ConfigError(f"unfreeze_epoch {self.unfreeze_epoch}: the encoder is not frozen")
        if self.unfreeze_epoch > self.epochs:
            raise ConfigError(
                f"unfreeze_epoch: expected one of the {self.epochs} epochs, "
                f"found {self.unfreeze_epoch}"
            )

    @property
    def architecture(self) -> Architecture:
        """What is known of the network without building it."""
        return find_architecture(self.arch)

    @property
    def multiple(self) -> int:
        """Pixels; the input's height and width are multiples of it."""
        return self.architecture.multiple

    @property
    def smallest_batch(self) -> int:
        """Fewest images of a training step.

        It is 2 where the encoder's coarsest feature is one pixel: batch normalization needs two
        values per channel.
        """
        one_pixel = self.size == self.multiple and self.architecture.batch_norm
        return 2 if one_pixel and not self.freeze_encoder else 1

    @property
    def mask_kind(self) -> MaskKind:
        """The source of the masks, in a run that has settled "auto"."""
        assert self.masks != "auto"
        return self.masks

    @property
    def name(self) -> str:
        """The network's name, which its folder and its exported file are named after.

        Departures from the study's protocol follow the width: "unet-resnet50-w16-augment".
        """
        parts = [self.architecture.label]
        if self.architecture.has_width:
            parts.append(f"w{self.width}")
        if self.augment:
            parts.append("augment")
        if self.empty == "drop":
            parts.append("annotated")
        if self.resize != "stretch":
            parts.append(self.resize)
        if self.unfreeze_epoch:
            parts.append(f"unfreeze{self.unfreeze_epoch}")
        if self.loss != "bce":
            parts.append(self.loss.replace("+", "-"))
        return "-".join(parts)


def study_config(data: str, arch: str, **changes: Any) -> TrainConfig:
    """Return the study's protocol for `arch`, with `changes`.

    A pretrained encoder is frozen and starts from ImageNet weights unless `changes` say otherwise;
    without weights it is trained.

    Raises:
        ConfigError: a setting is out of its range.

    Example:
        >>> study_config("scans", "resnet50").freeze_encoder
        True
        >>> study_config("scans", "resnet50", encoder_weights="none").freeze_encoder
        False
    """
    default = "imagenet" if find_architecture(arch).pretrained else "none"
    weights = changes.pop("encoder_weights", default)
    frozen = changes.pop("freeze_encoder", weights != "none")
    return TrainConfig(
        data=data, arch=arch, encoder_weights=weights, freeze_encoder=frozen, **changes
    )


DEMO = {"width": 8, "size": 64, "epochs": 16, "batch_size": 8, "learning_rate": 3e-3}
"""The demo's changes of the protocol: small enough to end within minutes on two cores."""


def demo_config(data: str, arch: str, **changes: Any) -> TrainConfig:
    """Return the demo's settings for `arch`, with `changes`.

    Raises:
        ConfigError: a setting is out of its range.

    Example:
        >>> demo_config("phantom", "scratch", epochs=2).name
        'unet-scratch-w8'
    """
    return study_config(data, arch, **{**DEMO, **changes})


def differing_setting(config: TrainConfig, earlier: TrainConfig) -> str | None:
    """Return the first setting that forbids to resume a run of `earlier` as `config`, or None.

    More epochs may be asked for, and the data and the encoder's weights may have moved (their
    fingerprints are compared elsewhere). A checkpoint of an earlier version does not state the
    arithmetic that "auto" meant.

    Example:
        >>> config = demo_config("phantom", "scratch")
        >>> differing_setting(config, demo_config("elsewhere", "scratch", seed=3))
        'seed'
    """
    moving = ["epochs", "data", "encoder_weights"]
    if earlier.precision == "auto":
        moving.append("precision")
    names = (field.name for field in fields(TrainConfig) if field.name not in moving)
    return next((name for name in names if getattr(config, name) != getattr(earlier, name)), None)
