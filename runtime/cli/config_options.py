"""Options of a command, made from the settings of a config (`runtime.core.settings`)."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING
from typing import Any, TypeVar

import click

from runtime.core.settings import ConfigField, config_fields

Function = TypeVar("Function", bound=Callable[..., Any])

_METAVARS = {int: "N", float: "X"}


def config_options(
    config: type,
    *,
    only: Collection[str] = (),
    without: Collection[str] = (),
    presets: Mapping[str, Mapping[str, Any]] | None = None,
) -> Callable[[Function], Function]:
    """Return a decorator that gives a command an option for each setting of a config.

    The command receives None, or an empty tuple for a setting with several values, where an option
    was not given; `given_settings` leaves those out. Ranges are checked by the config.

    Args:
        config: a dataclass with fields declared by `runtime.core.settings.setting`.
        only: names of the fields to offer; all that have a help text where it is empty.
        without: names of fields that are not offered.
        presets: named changes of the defaults, which the help text states.
    """
    offered = [
        field
        for field in config_fields(config)
        if field.setting.help and field.name not in without and (not only or field.name in only)
    ]

    def decorate(function: Function) -> Function:
        for field in reversed(offered):  # click lists the option that was added last first
            function = _option(field, presets or {})(function)
        return function

    return decorate


def given_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that were given on the command line.

    Example:
        >>> given_settings({"width": 16, "size": None, "archs": ()})
        {'width': 16}
    """
    return {name: value for name, value in settings.items() if value not in (None, ())}


def _option(
    field: ConfigField, presets: Mapping[str, Mapping[str, Any]]
) -> Callable[[Function], Function]:
    flag = field.kind is bool
    kind: Any = click.Choice(field.choices) if field.choices else field.kind
    return click.option(
        field.declaration,
        field.name,
        type=None if flag else kind,
        is_flag=flag,
        multiple=field.repeated,
        default=None,
        metavar=field.setting.metavar or (None if field.choices else _METAVARS.get(field.kind)),
        help=_help(field, presets),
    )


def _help(field: ConfigField, presets: Mapping[str, Mapping[str, Any]]) -> str:
    """Return an option's help text, with the default and what each preset makes of it."""
    default = field.setting.default_text or _shown(field.default)
    texts = [f"default: {default}"] if default else []
    texts += [f"{name}: {_shown(p[field.name])}" for name, p in presets.items() if field.name in p]
    return f"{field.setting.help}  [{'; '.join(texts)}]" if texts else field.setting.help


def _shown(value: object) -> str:
    if value is None or value is False or value is MISSING:
        return ""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
