"""The settings of a study: presets, networks by name, and the kinds of split."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

from runtime.core.errors import ConfigError
from runtime.core.settings import (
    CATEGORIES_HELP,
    MASKS_HELP,
    MaskChoice,
    check_settings,
    setting,
)
from runtime.model.providers import ProviderRequest
from train.architectures import FORMS, find_architecture, is_architecture
from train.config import DEMO, Device, TrainConfig, TrainingPrecision, study_config

Preset = Literal["study", "small", "demo"]
SplitKind = Literal["original", "grouped"]

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"study": {}, "small": {"width": 16, "size": 128}, "demo": DEMO}
)
"""The changes that each preset makes to the study's protocol; two cores can train "small"."""
SPLIT_KINDS: tuple[SplitKind, ...] = get_args(SplitKind)
"""The kinds of split in the order of reports: the original one comes first."""
ENSEMBLE = "ensemble"
PAIR = ("scratch", "resnet50")
"""The two networks that the study compares."""
SCALE = ("width", "size", "epochs", "batch_size")
"""The training settings that a study may change, for all networks."""

_NETWORK = re.compile(
    r"(?P<arch>.+?)(?P<augment>-augment)?(-unfreeze(?P<unfreeze>\d+))?(-(?P<loss>bce-dice|dice))?"
)


@dataclass(frozen=True, slots=True)
class StudyConfig:
    """The settings of a study.

    Attributes:
        data: folder of the data set.
        networks: each an architecture, followed by its departures from the study's protocol:
            "scratch", "resnet50", "resnet50-augment", "resnet50-unfreeze10", "scratch-dice",
            "swin-augment-bce-dice", "timm:resnet10t-dice". "ensemble" is the mean of all the
            others, as one file.
        splits: the original one, and the one that keeps groups of similar images together.
        encoder_weights: source of each pretrained encoder's weights, by architecture; the others
            start from ImageNet's, and untrained in the demo.
        changes: training settings named in `SCALE` that replace the preset's, for all networks.
        seeds: number of trainings of each network; their seeds are `seed` and those that follow.
        seed: of the first training, and of the grouped split.
        masks, categories, device, precision, threads, compile, intensity: as in `TrainConfig`.
        provider: that scores and times the exported files.

    Raises:
        ConfigError: a name is unknown or repeated, or an ensemble has fewer than two members.

    Example:
        >>> config = StudyConfig("scans", preset="small", networks=("scratch", "scratch-dice"))
        >>> config.training("scratch-dice", "scans").name
        'unet-scratch-w16-dice'
        >>> StudyConfig("scans", networks=("vgg",))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        runtime.core.errors.ConfigError: network 'vgg': unknown name; ...
    """

    data: str
    preset: Preset = setting(
        "study",
        help="study: the full protocol; small: width 16, 128x128, for two cores; demo: minutes.",
        default_text="study; without --data: demo",
    )
    networks: tuple[str, ...] = setting(
        PAIR,
        help=f"A network to train: {FORMS}, optionally followed by -augment, "
        "-unfreezeN, -dice or -bce-dice; or ensemble, the mean of the others. Repeatable.",
        option="--network",
        metavar="NAME",
    )
    splits: tuple[SplitKind, ...] = setting(
        SPLIT_KINDS,
        help="The split of the data set, or one that keeps groups of similar images together. "
        "Repeatable.",
    )
    encoder_weights: dict[str, str] = field(default_factory=dict)
    changes: dict[str, int] = field(default_factory=dict)
    seeds: int = setting(
        1,
        help="Trainings of each network, each with a seed of its own: --seed, and those that "
        "follow. Verdicts need 3.",
        metavar="N",
        minimum=1,
    )
    seed: int = 0
    device: Device = "auto"
    precision: TrainingPrecision = "auto"
    threads: int | None = None
    compile: bool = False
    intensity: int | None = None
    masks: MaskChoice = setting("auto", help=MASKS_HELP)
    categories: tuple[str, ...] = setting(
        (), help=CATEGORIES_HELP, option="--category", metavar="NAME"
    )
    provider: ProviderRequest = field(default_factory=ProviderRequest)

    def __post_init__(self) -> None:
        check_settings(self)
        check_unique(networks=self.networks, splits=self.splits)
        check_encoders(self.encoder_weights)
        if ENSEMBLE in self.networks and len(self.trained) < 2:
            raise ConfigError("networks: an ensemble needs two or more other networks")
        for network in self.trained:
            self.training(network, self.data)

    @property
    def trained(self) -> tuple[str, ...]:
        """The networks that are trained: all but the ensemble."""
        return tuple(name for name in self.networks if name != ENSEMBLE)

    @property
    def pretrained(self) -> bool:
        """True if the second network of the pair has the weights that its name promises."""
        return self.training(PAIR[1], self.data).encoder_weights != "none"

    @property
    def training_seeds(self) -> tuple[int, ...]:
        """The seed of each training of a network."""
        return tuple(range(self.seed, self.seed + self.seeds))

    @property
    def runs(self) -> tuple["Run", ...]:
        """Every training: all networks and splits with the first seed, then with the next."""
        return tuple(
            Run(network, kind, seed)
            for seed in self.training_seeds
            for kind in self.splits
            for network in self.trained
        )

    def training(self, network: str, data: str, seed: int | None = None) -> TrainConfig:
        """Return the settings to train `network` on the data set in the folder `data`.

        Args:
            seed: of the training; by default the first.

        Raises:
            ConfigError: `network` is not a name as above, or a setting is out of its range.
        """
        match = _NETWORK.fullmatch(network)
        if match is None or not is_architecture(match["arch"]):
            raise ConfigError(
                f"network {network!r}: unknown name; use {FORMS}, optionally "
                "followed by -augment, -unfreezeN, and -dice or -bce-dice in this order, or "
                f"{ENSEMBLE}"
            )
        changes: dict[str, Any] = {**PRESETS[self.preset], **self.changes}
        if match["augment"]:
            changes["augment"] = True
        if match["unfreeze"]:
            changes["unfreeze_epoch"] = int(match["unfreeze"])
        if match["loss"]:
            changes["loss"] = match["loss"].replace("-", "+")
        changes |= weights_for(match["arch"], self.encoder_weights, demo=self.preset == "demo")
        for name in (
            *("masks", "categories", "seed", "device", "precision", "threads", "compile"),
            "intensity",
        ):
            changes[name] = getattr(self, name)
        if seed is not None:
            changes["seed"] = seed
        return study_config(data, match["arch"], **changes)


@dataclass(frozen=True, slots=True)
class Run:
    """A network on one kind of split, with one seed.

    Example:
        >>> run = Run("scratch", "original", 2)
        >>> run.title, run.step, run.folder.as_posix()
        ('scratch, original, seed 2', 'original-seed-2-scratch', 'original/seed-2')
    """

    network: str
    kind: SplitKind
    seed: int

    @property
    def title(self) -> str:
        """The run in words."""
        return f"{self.network}, {self.kind}, seed {self.seed}"

    @property
    def step(self) -> str:
        """The name of its cached results."""
        return f"{self.kind}-seed-{self.seed}-{self.network}"

    @property
    def folder(self) -> Path:
        """Where its run and its file lie, relative to the study's folder."""
        return Path(self.kind, f"seed-{self.seed}")


def check_unique(**settings: tuple[object, ...]) -> None:
    """Raise ConfigError where a setting with several values has none, or one twice."""
    for name, values in settings.items():
        if not values:
            raise ConfigError(f"{name}: give one or more")
        if len(set(values)) < len(values):
            raise ConfigError(f"{name}: give each once, found {', '.join(map(str, values))}")


def check_encoders(weights: Mapping[str, str]) -> None:
    """Raise ConfigError where weights are given for an unknown architecture."""
    for arch in weights:
        if not is_architecture(arch):
            raise ConfigError(f"encoder weights: expected one of {FORMS}, found {arch!r}")


def weights_for(arch: str, weights: Mapping[str, str], *, demo: bool) -> dict[str, str]:
    """Return the setting for the weights of an architecture's encoder, where there is one.

    Example:
        >>> weights_for("swin", {"swin": "swin.pth"}, demo=True)
        {'encoder_weights': 'swin.pth'}
        >>> weights_for("resnet50", {}, demo=True), weights_for("scratch", {}, demo=True)
        ({'encoder_weights': 'none'}, {})
    """
    if arch in weights:
        return {"encoder_weights": weights[arch]}
    return {"encoder_weights": "none"} if demo and find_architecture(arch).pretrained else {}
