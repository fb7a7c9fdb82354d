"""The settings of a sweep: a grid of networks and their training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from types import MappingProxyType
from typing import Any

from bench.study.config import check_encoders, check_unique, weights_for
from runtime.core.settings import (
    CATEGORIES_HELP,
    MASKS_HELP,
    MaskChoice,
    check_settings,
    setting,
)
from train.config import DEMO, Device, TrainConfig, study_config

DEMO_GRID: Mapping[str, tuple[int, ...]] = MappingProxyType({"widths": (4, 8), "sizes": (32, 64)})
"""The demo's grid, which ends within minutes on two cores."""
SCALE = ("epochs", "batch_size")
"""The training settings that a sweep may change, for all networks."""


@dataclass(frozen=True, slots=True)
class SweepConfig:
    """The settings of a sweep: a grid of networks, each trained by the study's protocol.

    Attributes:
        data: folder of the data set.
        archs, widths, sizes: the grid; a size is the height and width of the input.
        encoder_weights: source of each pretrained encoder's weights, by architecture.
        demo: train with the small settings of the demo.
        changes: training settings named in `SCALE` that replace the protocol's or the demo's.
        score_size: height and width at which all networks are scored; None means the largest of
            `sizes`.
        masks, categories, seed, device, threads, intensity: as in `TrainConfig`.

    Raises:
        ConfigError: a side of the grid is empty or has a value twice, or a setting is out of its
            range.

    Example:
        >>> config = SweepConfig("scans", widths=(8, 4), sizes=(64,))
        >>> [name_of(network) for network in config.networks]
        ['unet-scratch-w4-s64', 'unet-scratch-w8-s64']
    """

    data: str
    archs: tuple[str, ...] = setting(
        ("scratch",),
        help="A network, as in train-unet. Repeatable.",
        option="--arch",
        metavar="NAME",
    )
    widths: tuple[int, ...] = setting(
        (4, 8, 16),
        help="Channels of the first level. Repeatable.",
        option="--width",
        metavar="N",
    )
    sizes: tuple[int, ...] = setting(
        (64, 128),
        help="Height and width of the input, in pixels. Repeatable.",
        option="--size",
        metavar="N",
    )
    encoder_weights: dict[str, str] = field(default_factory=dict)
    demo: bool = False
    changes: dict[str, int] = field(default_factory=dict)
    score_size: int | None = setting(
        None,
        help="Height and width at which masks and probabilities of all networks are compared.",
        default_text="the largest --size",
        minimum=1,
        maximum=8192,
    )
    seed: int = 0
    device: Device = "auto"
    threads: int | None = None
    intensity: int | None = None
    masks: MaskChoice = setting("auto", help=MASKS_HELP)
    categories: tuple[str, ...] = setting(
        (), help=CATEGORIES_HELP, option="--category", metavar="NAME"
    )

    def __post_init__(self) -> None:
        check_settings(self)
        check_unique(archs=self.archs, widths=self.widths, sizes=self.sizes)
        check_encoders(self.encoder_weights)
        _ = self.networks  # raises ConfigError where one of them is not possible

    @property
    def networks(self) -> tuple[TrainConfig, ...]:
        """The training settings of each network, by encoder, size and ascending width.

        Raises:
            ConfigError: a setting is out of its range.
        """
        grid = product(self.archs, sorted(self.sizes), sorted(self.widths))
        return tuple(self._training(arch, width, size) for arch, size, width in grid)

    @property
    def scored_at(self) -> tuple[int, int]:
        """(height, width) at which all networks are scored."""
        side = self.score_size or max(self.sizes)
        return side, side

    def _training(self, arch: str, width: int, size: int) -> TrainConfig:
        changes: dict[str, Any] = {**(DEMO if self.demo else {}), **self.changes}
        changes |= weights_for(arch, self.encoder_weights, demo=self.demo)
        for name in ("masks", "categories", "seed", "device", "threads", "intensity"):
            changes[name] = getattr(self, name)
        return study_config(self.data, arch, **{**changes, "width": width, "size": size})


def name_of(config: TrainConfig) -> str:
    """Return the name of a network of a sweep, which its run's folder and its file share."""
    return f"{config.name}-s{config.size}"
