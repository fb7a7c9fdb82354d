"""What a study trains and on what: presets, and networks by name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, get_args

from runtime.core.errors import ConfigError
from train.architectures import ARCHITECTURES
from train.config import DEMO, Device, TrainConfig, study_config

Preset = Literal["study", "small", "demo"]
SplitKind = Literal["original", "grouped"]

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"study": {}, "small": {"width": 16, "size": 128}, "demo": DEMO}
)
"""What a preset changes of the study's protocol; two cores can train "small"."""
ENSEMBLE = "ensemble"
PAIR = ("scratch", "resnet50")
"""The two networks that the study compares."""

_NETWORK = re.compile(
    rf"(?P<arch>{'|'.join(ARCHITECTURES)})(?P<augment>-augment)?(-unfreeze(?P<unfreeze>\d+))?"
    r"(-(?P<loss>bce-dice|dice))?"
)


@dataclass(frozen=True, slots=True)
class StudyConfig:
    """The settings of a study.

    Attributes:
        data: folder of the data set.
        networks: each an architecture, followed by what departs from the study's protocol:
            "scratch", "resnet50", "resnet50-augment", "resnet50-unfreeze10", "scratch-dice",
            "swin-augment-bce-dice"; or "ensemble", the mean of all the others as one file.
        splits: the data set's own, and the one that keeps groups of similar images together.
        encoder_weights: where each pretrained encoder's weights are, by architecture.
        changes: of the preset's training settings, for all networks.
        compile: the networks that are trained, as in `TrainConfig`.

    Raises:
        ConfigError: a name is unknown or used twice, or an ensemble has fewer than two members.
    """

    data: str
    preset: Preset = "study"
    networks: tuple[str, ...] = PAIR
    splits: tuple[SplitKind, ...] = ("original", "grouped")
    encoder_weights: dict[str, str] = field(default_factory=dict)
    changes: dict[str, int] = field(default_factory=dict)
    seed: int = 0
    device: Device = "auto"
    threads: int = 0
    compile: bool = False

    def __post_init__(self) -> None:
        for name, values in (("networks", self.networks), ("splits", self.splits)):
            if not values or len(set(values)) < len(values):
                raise ConfigError(f"{name}: expected one or more, each once, found {values}")
        unknown = set(self.encoder_weights) - set(ARCHITECTURES)
        if unknown:
            raise ConfigError(
                f"encoder weights: expected one of {', '.join(ARCHITECTURES)}, found "
                f"{sorted(unknown)[0]!r}"
            )
        if not set(self.splits) <= set(get_args(SplitKind)):
            raise ConfigError(f"splits: expected original or grouped, found {self.splits}")
        if ENSEMBLE in self.networks and len(self.trained) < 2:
            raise ConfigError("networks: expected two or more beside the ensemble, found fewer")
        for network in self.trained:
            self.training(network, self.data)

    @property
    def trained(self) -> tuple[str, ...]:
        """The networks that are trained: all but the ensemble."""
        return tuple(name for name in self.networks if name != ENSEMBLE)

    def training(self, network: str, data: str) -> TrainConfig:
        """Return the settings to train `network` on the data set in the folder `data`.

        Raises:
            ConfigError: `network` is not a name as above, or a setting is out of its range.
        """
        match = _NETWORK.fullmatch(network)
        if match is None:
            raise ConfigError(
                f"network: expected {', '.join(ARCHITECTURES)}, with -augment, -unfreezeN, -dice "
                f"or -bce-dice behind it in this order, or {ENSEMBLE}; found {network!r}"
            )
        arch = match["arch"]
        changes: dict[str, Any] = {**PRESETS[self.preset], **self.changes}
        if match["augment"]:
            changes["augment"] = True
        if match["unfreeze"]:
            changes["unfreeze_epoch"] = int(match["unfreeze"])
        if match["loss"]:
            changes["loss"] = match["loss"].replace("-", "+")
        if arch in self.encoder_weights:
            changes["encoder_weights"] = self.encoder_weights[arch]
        return study_config(
            data, arch, seed=self.seed, device=self.device, threads=self.threads or None,
            compile=self.compile, **changes,
        )  # fmt: skip
