from dataclasses import dataclass
from typing import Any, Literal

import click
from click.testing import CliRunner

from runtime.cli.config_options import config_options, given_settings
from runtime.core.settings import setting


@dataclass(frozen=True)
class Config:
    data: str
    kind: Literal["round", "square"] = setting("round", help="The shape.")
    max_width: int = setting(64, help="In pixels.")
    rates: tuple[float, ...] = setting((0.5, 0.25), help="Of learning.", option="--rate")
    frozen: bool = setting(
        True, help="Freeze it.", option="--freeze/--train", default_text="frozen"
    )
    fast: bool = setting(False, help="Hurry.")
    inner: int = setting(3)


def given(*arguments: str, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}

    @click.command()
    @config_options(Config, **options)
    def command(**settings: Any) -> None:
        found.update(given_settings(settings))

    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    return {"help": result.output} if "--help" in arguments else found


def test_only_what_was_given_reaches_the_config() -> None:
    assert {name for name, value in given().items() if value} == set()
    assert given("--kind", "square", "--max-width", "8", "--rate", "0.1", "--rate", "1",
                 "--train", "--fast") == {
        "kind": "square", "max_width": 8, "rates": (0.1, 1.0), "frozen": False, "fast": True,
    }  # fmt: skip


def test_the_help_states_defaults_and_presets_in_the_fields_order() -> None:
    text = " ".join(given("--help", presets={"demo": {"max_width": 8}})["help"].split())
    parts = (
        "--kind [round|square] The shape. [default: round]",
        "--max-width N In pixels. [default: 64; demo: 8]",
        "--rate X Of learning. [default: 0.5, 0.25]",
        "--freeze / --train Freeze it. [default: frozen]",
        "--fast Hurry.",
    )
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert "--inner" not in text
    assert "--data" not in text


def test_fields_can_be_chosen_or_excluded() -> None:
    chosen = given("--help", only=("kind", "max_width"), without=("kind",))["help"]
    assert "--max-width" in chosen
    assert "--kind" not in chosen
    assert "--rate" not in chosen
