"""How volumes become gray images: the settings, in one frozen record stored with the results.

It needs no numpy, so that a command's `--help` is quick.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

from runtime.core.errors import ConfigError
from runtime.core.settings import check_settings, setting

Plane = Literal["axial", "coronal", "sagittal"]
Range = Literal["percentiles", "window", "stated"]


@dataclass(frozen=True, slots=True)
class VolumeSpec:
    """How a volume becomes gray images.

    Attributes:
        plane: of the slices.
        range: the source of the values that become black and white: percentiles of all finite
            voxels of the volume, a fixed window in the source's units, or the window that each
            slice of a DICOM series states, which is percentiles where one states none.
        low, high: the two percentiles, or the two values.
        modalities: of the volumes, in DICOM's terms, such as "MR"; empty where they state none.

    Raises:
        ConfigError: `low` is not less than `high`, or a percentile is not in 0 to 100.

    Example:
        >>> VolumeSpec(range="window", low=-160.0, high=240.0).plane
        'axial'
        >>> VolumeSpec(low=2, high=1)
        Traceback (most recent call last):
        runtime.core.errors.ConfigError: volumes: expected percentiles 0 <= low < high <= 100, \
found 2 and 1
    """

    plane: Plane = setting("axial", help="Plane of the slices of volumes.")
    range: Range = "percentiles"
    low: float = 0.5
    high: float = 99.5
    modalities: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_settings(self)
        found = f"found {self.low:g} and {self.high:g}"
        if self.range != "window" and not 0 <= self.low < self.high <= 100:
            raise ConfigError(f"volumes: expected percentiles 0 <= low < high <= 100, {found}")
        if not -math.inf < self.low < self.high < math.inf:
            raise ConfigError(f"volumes: expected a window with low < high, {found}")


def volume_spec(
    plane: Plane | None = None, window: str | None = None, percentiles: str | None = None
) -> VolumeSpec:
    """Return the spec of a user's choices; what is None has its default.

    Args:
        window, percentiles: two numbers, such as "-160/240"; only one of the two may be given. The
            window may also be "stated".

    Raises:
        ConfigError: both are given, or one is not two numbers in order.

    Example:
        >>> volume_spec("sagittal", window="-160/240")
        VolumeSpec(plane='sagittal', range='window', low=-160.0, high=240.0, modalities=())
    """
    if window is not None and percentiles is not None:
        raise ConfigError("window and percentiles exclude each other")
    given: dict[str, Any] = {} if plane is None else {"plane": plane}
    if window == "stated":
        return VolumeSpec(**given, range="stated")
    text = window if window is not None else percentiles
    if text is not None:
        try:
            low, high = (float(part) for part in text.split("/"))
        except ValueError:
            raise ConfigError(f"expected two numbers such as -160/240, found {text!r}") from None
        kind = "percentiles" if window is None else "window"
        given |= {"range": kind, "low": low, "high": high}
    return VolumeSpec(**given)
