"""Splits of imported images in which no patient lies in two splits."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.core.errors import DataError
from runtime.data.audit import Audit, AuditedImage, audit_dataset
from runtime.data.coco import Dataset
from runtime.data.grouped_split import read_shares, split_by_group
from runtime.data.image_names import slice_number
from runtime.data.imports.coco_files import ImportedImage
from runtime.data.imports.config import ImportConfig
from runtime.data.samples import Annotation, Sample
from runtime.data.similarity import LinkRule
from runtime.data.split import Split


@dataclass(frozen=True, slots=True)
class PlacedImages:
    """Images by split, each with the number of its group: its patient, or what looks alike.

    Attributes:
        groups: the group of each image, by split, in the order of the images.
    """

    images: dict[str, tuple[ImportedImage, ...]]
    groups: dict[str, tuple[int, ...]]

    def patients(self) -> dict[str, int]:
        """Return the number of patients in each split; empty where no image states one."""
        stated = {
            name: {image.patient for image in images if image.patient is not None}
            for name, images in self.images.items()
        }
        return {name: len(found) for name, found in stated.items()} if any(stated.values()) else {}


def assign_splits(
    images: Sequence[ImportedImage], root: Path, config: ImportConfig
) -> PlacedImages:
    """Assign images to splits: all to one, to those of the source, or by patient.

    Where no image states a patient, images that look alike stay together, as in `seg-data split`.

    Args:
        root: of the source, for messages.

    Raises:
        DataError: there are fewer patients than splits.
        ConfigError: the shares are not percentages.
    """
    shares = read_shares(config.shares)
    stated = [config.split or image.split for image in images]
    patients = any(image.patient is not None for image in images)
    if patients or None not in stated:
        owners = [image.patient or f"/{index}" for index, image in enumerate(images)]
        order = sorted(set(owners), key=lambda owner: (-owners.count(owner), owners.index(owner)))
        numbers = {owner: number for number, owner in enumerate(order)}
        audit = _audit(images, [numbers[owner] for owner in owners])
    else:
        audit = audit_dataset(_dataset(images, root))
    names: Sequence[str | None] = stated
    if None in stated:
        if audit.groups < len(shares):
            raise DataError(f"{root}: {_too_few(audit.groups, patients, shares)}")
        dataset = _dataset(images, root)
        names = split_by_group(dataset, audit, seed=config.seed, shares=shares).assigned
    groups = [image.group for image in audit.images]
    order_of_splits = [name for name in shares if name in names]
    order_of_splits += sorted({name for name in names if name and name not in shares})
    members = {
        name: [index for index, own in enumerate(names) if own == name] for name in order_of_splits
    }
    return PlacedImages(
        {name: tuple(images[index] for index in own) for name, own in members.items()},
        {name: tuple(groups[index] for index in own) for name, own in members.items()},
    )


def _too_few(groups: int, patients: bool, shares: Iterable[str]) -> str:
    splits, plural = ", ".join(shares), "s" if groups > 1 else ""
    one_split = "--split NAME puts all images into one split"
    if patients:
        return f"{groups} patient{plural} cannot fill {splits}; {one_split}"
    return (
        f"no patient is known, and images that look alike form {groups} group{plural}, too few to "
        f"fill {splits}; --patients name or folder tells patients, {one_split}"
    )


def _audit(images: Sequence[ImportedImage], groups: Sequence[int]) -> Audit:
    """Return the audit of images whose groups are known."""
    audited = tuple(
        AuditedImage("", _sample(image), *slice_number(image.file_name), group)
        for image, group in zip(images, groups, strict=True)
    )
    return Audit(LinkRule(), audited, (), ())


def _dataset(images: Sequence[ImportedImage], root: Path) -> Dataset:
    samples = tuple(_sample(image) for image in images)
    return Dataset(root, {"": Split("", root, samples, None, ())})


def _sample(image: ImportedImage) -> Sample:
    regions = tuple(
        Annotation(index, region.box, None) for index, region in enumerate(image.regions)
    )
    return Sample(
        image.path, image.file_name, image.width, image.height, regions, None, image.patient
    )
