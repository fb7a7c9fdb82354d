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
        one
        for one in config_fields(config)
        if one.setting.help and one.name not in without and (not only or one.name in only)
    ]

    def decorate(function: Function) -> Function:
        for one in reversed(offered):  # click lists the option that was added last first
            function = _option(one, presets or {})(function)
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
    one: ConfigField, presets: Mapping[str, Mapping[str, Any]]
) -> Callable[[Function], Function]:
    flag = one.kind is bool
    kind: Any = click.Choice(one.choices) if one.choices else one.kind
    return click.option(
        one.declaration,
        one.name,
        type=None if flag else kind,
        is_flag=flag,
        multiple=one.repeated,
        default=None,
        metavar=one.setting.metavar or (None if one.choices else _METAVARS.get(one.kind)),
        help=_help(one, presets),
    )


def _help(one: ConfigField, presets: Mapping[str, Mapping[str, Any]]) -> str:
    """Return an option's help text, with the default and what each preset makes of it."""
    default = one.setting.default_text or _shown(one.default)
    texts = [f"default: {default}"] if default else []
    texts += [f"{name}: {_shown(p[one.name])}" for name, p in presets.items() if one.name in p]
    return f"{one.setting.help}  [{'; '.join(texts)}]" if texts else one.setting.help


def _shown(value: object) -> str:
    if value is None or value is False or value is MISSING:
        return ""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
