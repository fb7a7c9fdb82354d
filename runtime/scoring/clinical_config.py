"""The settings of the scores that clinicians ask for, without numpy, which `--help` never loads."""

from dataclasses import dataclass

from runtime.core.extras import require
from runtime.core.settings import check_settings, setting


@dataclass(frozen=True, slots=True)
class ClinicalConfig:
    """The scores beside those of the pixels; they need the extra `[surface]`.

    Raises:
        ConfigError: a number is out of its range.
        MissingExtraError: SciPy is not installed.
    """

    surface: bool = setting(
        False, help="Add the Hausdorff distance (95 %) and the normalized surface distance."
    )
    tolerance: float = setting(
        2.0,
        help="Tolerance of the normalized surface distance, in mm where the data set states its "
        "spacing, else in pixels.",
        minimum=0,
    )
    lesions: bool = setting(
        False, help="Add the lesions found, missed, and predicted where there are none, by size."
    )
    smallest_lesion: float = setting(
        3.0,
        help="Equivalent diameter of the smallest lesion that counts, in mm or pixels.",
        minimum=0,
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if self.surface or self.lesions:
            require("surface", "scipy")
