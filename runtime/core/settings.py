"""Settings: fields of a config that carry their range, their help text and their option's name.

A config checks them (`check_settings`), and a command makes its options from them
(`runtime.cli.config_options`), so that no default, choice, range or help text is written twice.
"""

import math
import types
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from runtime.core.errors import ConfigError
from runtime.core.machine import MAX_THREADS

MaskKind = Literal["boxes", "segmentation"]
"""The source of masks: the boxes of a COCO file, or its segmentations."""
MaskChoice = Literal["auto", "boxes", "segmentation"]
"""The kind of masks that a user asks for; `runtime.data.targets` decides what "auto" means."""
LengthUnit = Literal["mm", "px"]
"""The unit of lengths in images: px where their spacing is not known."""
Resize = Literal["stretch", "fit", "tile"]
"""How an image meets a network's input of another size (`runtime.data.framing`)."""
EmptyImages = Literal["keep", "drop"]
"""Images without annotations: images of nothing, or images whose annotations are missing."""
MASKS_HELP = (
    "Source of the target masks. auto: as the network was trained; else segmentations if "
    "every annotation has one, and boxes otherwise (polygons that are all boxes count as boxes)."
)
RESIZE_HELP = (
    "How images become inputs of one size. stretch: whatever their proportions; fit: with black "
    "margins; tile: in overlapping windows at the scale of the training."
)
CATEGORIES_HELP = "Use only the annotations of this category as foreground; can be repeated."


@dataclass(frozen=True, slots=True)
class Setting:
    """The range of a config's field, and how a command offers it.

    Attributes:
        help: the option's help text; a field without one gets no option.
        option: the option's name where it is not the field's; "--on/--off" for a pair of flags.
        metavar: stands for the value in the help text.
        default_text: the default in words, where the value alone does not explain itself.
        choices: the allowed values, where the field's type is not a `Literal`.
        minimum, maximum: the smallest and the largest allowed number.
        above, below: numbers that the value must exceed, and must stay below.
    """

    help: str = ""
    option: str = ""
    metavar: str = ""
    default_text: str = ""
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None

    def allows(self, number: float) -> bool:
        """Return whether a number is in the range; NaN and infinity never are."""
        return (
            (isinstance(number, int) or math.isfinite(number))  # an int of any length is finite
            and (self.minimum is None or number >= self.minimum)
            and (self.maximum is None or number <= self.maximum)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )

    @property
    def range_text(self) -> str:
        """The range in words, such as "1 or more"."""
        if self.above is not None and self.below is not None:
            return f"a value between {self.above:g} and {self.below:g}"
        if self.above is not None and self.maximum is not None:
            return f"more than {self.above:g} and at most {self.maximum:g}"
        if self.above is not None:
            return f"more than {self.above:g}"
        if self.minimum is not None and self.maximum is not None:
            return f"{self.minimum:g} to {self.maximum:g}"
        if self.minimum is not None:
            return f"{self.minimum:g} or more"
        return "a finite number"


def setting(default: Any = MISSING, **attributes: Any) -> Any:
    """Return a dataclass field with a `Setting`.

    Args:
        default: of the field; without it the field is required.
        attributes: those of `Setting`.

    Example:
        >>> @dataclass(frozen=True)
        ... class Config:
        ...     epochs: int = setting(25, help="Passes over the images.", minimum=1)
        ...
        ...     def __post_init__(self):
        ...         check_settings(self)
        >>> Config().epochs
        25
        >>> Config(epochs=0)
        Traceback (most recent call last):
        runtime.core.errors.ConfigError: epochs: expected 1 or more, found 0
    """
    return field(default=default, metadata={"setting": Setting(**attributes)})


def threads_setting() -> Any:
    """Return the field of the number of threads; None means the cores this process may use."""
    return setting(
        None,
        help="Threads of the computation.",
        default_text="the cores this process may use",
        minimum=1,
        maximum=MAX_THREADS,
    )


@dataclass(frozen=True, slots=True)
class ConfigField:
    """A field of a config with its setting.

    Attributes:
        kind: the type of a value, without `None` and `tuple` around it.
        choices: the allowed values; empty where any are.
        repeated: whether the field holds a tuple of values.
    """

    name: str
    kind: type
    default: Any
    setting: Setting
    choices: tuple[str, ...]
    repeated: bool

    @property
    def option(self) -> str:
        """The name of the option, such as "--batch-size"; the first of a pair of flags."""
        return self.declaration.split("/")[0]

    @property
    def declaration(self) -> str:
        """The option's name or pair of names, as click takes it."""
        return self.setting.option or f"--{self.name.replace('_', '-')}"


def config_fields(config: type) -> Iterator[ConfigField]:
    """Yield the fields of a config dataclass that were declared by `setting`, in their order."""
    hints = get_type_hints(config)
    for each in fields(config):
        found = each.metadata.get("setting")
        if found is not None:
            yield _config_field(each, hints[each.name], found)


def _config_field(each: "Field[Any]", hint: Any, found: Setting) -> ConfigField:
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = (argument for argument in get_args(hint) if argument is not type(None))
    repeated = get_origin(hint) is tuple
    if repeated:
        hint = get_args(hint)[0]
    choices = found.choices
    if get_origin(hint) is Literal:
        choices, hint = get_args(hint), str
    return ConfigField(each.name, hint, each.default, found, choices, repeated)


def check_settings(config: object) -> None:
    """Raise ConfigError where a config's value is of another type, no choice, or out of range."""
    for each in config_fields(type(config)):
        value = getattr(config, each.name)
        if value is None and each.default is None:
            continue
        for item in value if each.repeated and value is not None else (value,):
            if each.kind is str and not isinstance(item, str):
                raise ConfigError(f"{each.name}: expected text, found {item!r}")
            if each.kind is bool and not isinstance(item, bool):
                raise ConfigError(f"{each.name}: expected True or False, found {item!r}")
            number = isinstance(item, (int, float)) and not isinstance(item, bool)
            if each.kind in (int, float) and not number:
                raise ConfigError(f"{each.name}: expected a number, found {item!r}")
            if each.choices and item not in each.choices:
                allowed = ", ".join(each.choices)
                raise ConfigError(f"{each.name}: expected one of {allowed}, found {item!r}")
            if each.kind in (int, float) and not each.setting.allows(item):
                raise ConfigError(f"{each.name}: expected {each.setting.range_text}, found {item}")
