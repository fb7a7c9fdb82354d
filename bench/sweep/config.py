"""Which networks a sweep trains, and how."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from runtime.core.errors import ConfigError
from train.architectures import ARCHITECTURES
from train.config import DEMO, Device, TrainConfig, study_config

WIDTHS, SIZES = (4, 8, 16), (64, 128)
DEMO_WIDTHS, DEMO_SIZES = (4, 8), (32, 64)


@dataclass(frozen=True, slots=True)
class SweepConfig:
    """The settings of a sweep: a grid of networks, each trained by the study's protocol.

    Attributes:
        data: folder of the data set.
        archs, widths, sizes: the grid; sizes are heights and widths of the input.
        encoder_weights: where each pretrained encoder's weights are, by architecture.
        demo: whether training has the demo's small settings.
        changes: of these settings, or the protocol's, for all networks.
        score_size: height and width at which all networks are scored; the largest of `sizes` where
            it is 0.

    Raises:
        ConfigError: the grid has nothing in a direction or something twice, or one of its networks
            is not possible.
    """

    data: str
    archs: tuple[str, ...]
    widths: tuple[int, ...]
    sizes: tuple[int, ...]
    encoder_weights: dict[str, str] = field(default_factory=dict)
    demo: bool = False
    changes: dict[str, int] = field(default_factory=dict)
    score_size: int = 0
    seed: int = 0
    device: Device = "auto"
    threads: int = 0

    def __post_init__(self) -> None:
        directions: Mapping[str, tuple[object, ...]] = {
            "arch": self.archs,
            "width": self.widths,
            "size": self.sizes,
        }
        for name, values in directions.items():
            if not values or len(set(values)) < len(values):
                raise ConfigError(f"{name}: expected one or more, each once, found {values}")
        unknown = set(self.encoder_weights) - set(ARCHITECTURES)
        if unknown:
            raise ConfigError(
                f"encoder weights: expected one of {', '.join(ARCHITECTURES)}, found "
                f"{sorted(unknown)[0]!r}"
            )
        _ = self.networks

    @property
    def networks(self) -> tuple[TrainConfig, ...]:
        """The settings of each network's training: widths ascend within an encoder and a size.

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
        if arch in self.encoder_weights:
            changes["encoder_weights"] = self.encoder_weights[arch]
        changes |= {"seed": self.seed, "device": self.device, "threads": self.threads or None}
        return study_config(self.data, arch, **{**changes, "width": width, "size": size})


def name_of(config: TrainConfig) -> str:
    """Return what a network of a sweep is called, as are its run's folder and its file."""
    return f"{config.name}-s{config.size}"
