"""Labels of scans as categories: which levels of a mask are foreground, and their names."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.core.errors import ConfigError
from runtime.data.imports.source import UnusableScanError

_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")
_MOST_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Category:
    """A category of the written data set.

    Attributes:
        levels: inclusive ranges of the levels that belong to it.
    """

    id: int
    name: str
    levels: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class LabelRule:
    """The categories of a mask's levels.

    Attributes:
        chosen: by the user; empty where each level is a category of its own.
        names: of the levels, as far as the source states them; None where a mask must be binary.
    """

    chosen: tuple[Category, ...] = ()
    names: Mapping[int, str] | None = None

    def regions(self, labels: NDArray[np.float32]) -> Iterator[tuple[Category, NDArray[np.bool_]]]:
        """Yield the categories of a slice's labels, each with its pixels, bool [rows, columns].

        Raises:
            UnusableScanError: the labels are not whole numbers of 0 or more, or not binary where
                they must be.

        Example:
            >>> labels = np.array([[0, 255]], np.float32)
            >>> [(category.name, mask.tolist()) for category, mask in LabelRule().regions(labels)]
            [('foreground', [[False, True]])]
        """
        levels = np.unique(labels)
        whole = np.isfinite(levels).all() and (levels == np.rint(levels)).all()
        if not whole or levels[0] < 0:
            raise UnusableScanError(
                "its labels are not whole numbers of 0 or more", "labels that are no whole numbers"
            )
        for category in self.chosen or self._own(levels[levels > 0].astype(int).tolist()):
            mask = np.zeros(labels.shape, bool)
            for low, high in category.levels:
                mask |= (labels >= low) & (labels <= high)
            if mask.any():
                yield category, mask

    def _own(self, levels: list[int]) -> list[Category]:
        """Return the categories of levels without a choice."""
        if self.names is not None:
            names = self.names
            return [
                Category(level, names.get(level, f"label {level}"), ((level, level),))
                for level in levels
            ]
        if len(levels) > 1:
            shown = ", ".join(map(str, levels[:_MOST_SHOWN]))
            more = f" and {len(levels) - _MOST_SHOWN} more" if len(levels) > _MOST_SHOWN else ""
            raise UnusableScanError(
                f"a mask that is not binary, with the levels {shown}{more}",
                "a mask that is not binary; --label NAME=LEVELS chooses levels",
            )
        return [Category(1, "foreground", ((1, level),)) for level in levels]


def label_rule(choices: Sequence[str], names: Mapping[int, str] | None) -> LabelRule:
    """Return the rule of a user's choices.

    Args:
        choices: each a label of the source, or NAME=LABELS with labels to join, separated by
            commas. A label is a name of `names`, a level, or a range of levels.
        names: of the source's labels by level; None where it states none.

    Raises:
        ConfigError: a choice names no label, or two have one name.

    Example:
        >>> label_rule(["tumor=edema,3-4"], {1: "edema"}).chosen
        (Category(id=1, name='tumor', levels=((1, 1), (3, 4))),)
    """
    chosen = []
    for number, choice in enumerate(choices, start=1):
        name, joined, labels = choice.partition("=")
        parts = labels.split(",") if joined else [choice]
        levels = tuple(_levels(part.strip(), names or {}) for part in parts)
        if not joined and name.isdecimal():
            name = (names or {}).get(int(name), f"label {name}")
        chosen.append(Category(number, name.strip(), levels))
    if len({category.name for category in chosen}) < len(chosen):
        raise ConfigError("label: two choices have the same name")
    return LabelRule(tuple(chosen), names)


def _levels(label: str, names: Mapping[int, str]) -> tuple[int, int]:
    by_name = {name: level for level, name in names.items()}
    if label in by_name:
        return by_name[label], by_name[label]
    match = _RANGE.fullmatch(label)
    if match is None or not 0 < int(match[1]) <= int(match[2] or match[1]):
        if by_name:
            known = f"the labels are {', '.join(map(repr, by_name))}"
        else:
            known = "the masks name no labels: give levels, as in NAME=1-255"
        raise ConfigError(f"label: no label {label!r}; {known}")
    return int(match[1]), int(match[2] or match[1])
