"""The settings of an import, in one frozen record.

It needs no numpy, so that a command's `--help` is quick.
"""

from dataclasses import dataclass, field
from typing import Literal

from runtime.core.settings import check_settings, setting
from runtime.data.volumes.spec import VolumeSpec

PatientSource = Literal["folder", "name", "none"]


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """The choices of a user that an importer may need.

    Attributes:
        mask_pattern: the mask of a picture (`runtime.data.mask_files`); None for the usual names.
        patients: the source of the patients of pictures; None to decide.
        modality: suffix of the image in BIDS, such as "FLAIR", where masks have several images.
        volume: of files of several volumes, from 1.
    """

    mask_pattern: str | None = None
    patients: PatientSource | None = None
    modality: str | None = None
    volume: int | None = None


@dataclass(frozen=True, slots=True)
class ImportConfig:
    """The settings of an import.

    Attributes:
        labels: the labels that are foreground (`runtime.data.imports.labels.label_rule`); empty
            for all.
        mask_pattern, patients, modality, volume: as in `SourceOptions`.
        keep_empty: share of the images without foreground that is kept, in [0, 1].
        shares: percentages of train, valid and test, where the source has no splits.
        split: the one split of all images; None for the source's, or a split by patient.
        seed: of the images that are kept, and of the split.
        anonymous: number scans and patients, instead of naming them as files and folders are.
        volumes: how slices of volumes become gray images.

    Raises:
        ConfigError: a setting is out of its range.
    """

    labels: tuple[str, ...] = setting(
        (),
        help="A label that is foreground, by its name or level; NAME=1,3-5 joins several. Can be "
        "repeated, for several categories.",
        option="--label",
        metavar="LABEL",
        default_text="all labels, each a category",
    )
    mask_pattern: str | None = setting(
        None,
        help="The mask of a picture, relative to the picture's folder, such as "
        '"../masks/{name}_m.png".',
        metavar="PATTERN",
        default_text="NAME_mask beside it, or NAME in a folder masks",
    )
    patients: PatientSource | None = setting(
        None,
        help="The source of the patients of pictures.",
        default_text="the folders if there are at least 4, or else the names if all state one",
    )
    modality: str | None = setting(
        None,
        help="Suffix of the image in BIDS, where a mask may belong to several.",
        metavar="SUFFIX",
    )
    volume: int | None = setting(
        None,
        help="Number of the volume, or channel, to use in a file of several, from 1.",
        minimum=1,
    )
    keep_empty: float = setting(
        1.0,
        help="Share of the images without foreground that is kept.",
        metavar="SHARE",
        minimum=0,
        maximum=1,
    )
    shares: str = setting(
        "70/15/15",
        help="Percentages of images in train, valid and test, where the source has no splits.",
        metavar="A/B/C",
    )
    split: str | None = setting(
        None,
        help="Put all images into one split, such as test.",
        metavar="NAME",
        default_text="the source's splits, or a split by patient",
    )
    seed: int = setting(0, help="Same seed, same images and split.", minimum=0)
    anonymous: bool = setting(
        False,
        help="Number scans and patients, and name no file or folder in messages; for volumes.",
        option="--anonymous-log",
    )
    volumes: VolumeSpec = field(default_factory=VolumeSpec)

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def options(self) -> SourceOptions:
        """The choices that importers take."""
        return SourceOptions(self.mask_pattern, self.patients, self.modality, self.volume)
