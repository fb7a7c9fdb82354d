"""A split of a data set: its samples, and what its COCO file says of all of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runtime.core.errors import DataError, printable
from runtime.data.defects import Defect
from runtime.data.samples import Sample
from runtime.data.volumes.spec import VolumeSpec


@dataclass(frozen=True, slots=True)
class Split:
    """The samples of one split, in the order of its COCO file, and its defects.

    Attributes:
        image_root: folder of the other data set that holds the images; None where they lie in this
            data set.
        known_categories: names of the categories that the COCO file lists.
        categories: names of the categories that are foreground; empty for all.
        volumes: how the images were made of volumes; None where they were not.
        mask_pattern: where the masks are, of an imported folder of pictures and masks; None for
            the usual places (`runtime.data.mask_files`).
        empty_masks: true if images without an annotation have an empty mask, as the COCO file says;
            otherwise the annotation may be missing.
    """

    name: str
    annotation_file: Path
    samples: tuple[Sample, ...]
    license: str | None
    defects: tuple[Defect, ...]
    image_root: Path | None = None
    known_categories: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    volumes: VolumeSpec | None = None
    mask_pattern: str | None = None
    empty_masks: bool = False

    def __repr__(self) -> str:
        return f"Split({self.name!r}, {len(self.samples)} images, {str(self.annotation_file)!r})"

    @property
    def annotations(self) -> dict[str, int]:
        """The number of annotations of each category."""
        names = (a.category or "unknown" for s in self.samples for a in s.annotations)
        return dict(Counter(names).most_common())

    def only(self, categories: Sequence[str]) -> "Split":
        """Return the split with the annotations of some categories; all where none is named.

        Raises:
            DataError: the COCO file does not list one of the categories.
        """
        if not categories:
            return self
        for name in categories:
            if name not in self.known_categories:
                known = ", ".join(printable(known) for known in self.known_categories)
                raise DataError(
                    f"{self.annotation_file}: no category {name!r}; the categories are {known}"
                )
        chosen = tuple(
            replace(s, annotations=tuple(a for a in s.annotations if a.category in categories))
            for s in self.samples
        )
        return replace(self, samples=chosen, categories=tuple(categories))

    def with_intensity(self, intensity: int | None) -> "Split":
        """Return the split with another white level of 16-bit images (`Sample.intensity`)."""
        samples = tuple(replace(sample, intensity=intensity) for sample in self.samples)
        return replace(self, samples=samples)
