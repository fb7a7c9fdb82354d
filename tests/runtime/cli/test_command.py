"""What commands set up before they run."""

import os
from importlib import import_module

import click
import pytest
from click.testing import CliRunner

from runtime.cli.command import share_cores
from runtime.core.version import __version__


def test_threads_of_pytorch_sleep_soon_unless_the_user_decides(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    share_cores()
    assert os.environ["GOMP_SPINCOUNT"] == "4000"
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    share_cores()
    assert os.environ["GOMP_SPINCOUNT"] == "7"


def test_every_command_states_the_version() -> None:
    for module in ("runtime.cli.data", "runtime.cli.predict", "train.cli", "bench.cli"):
        main = import_module(module).main
        shown = CliRunner().invoke(main, ["--version"])
        assert (shown.exit_code, shown.output) == (0, f"seg-toolkit {__version__}\n")


def ranges_of(command: click.Command) -> list[click.FloatRange]:
    below = command.commands.values() if isinstance(command, click.Group) else ()
    own = [option.type for option in command.params if isinstance(option.type, click.FloatRange)]
    return own + [found for each in below for found in ranges_of(each)]


@pytest.mark.parametrize("module", ["runtime.cli.predict", "bench.cli"])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_no_option_takes_a_number_that_is_not_finite(module: str, value: str) -> None:
    ranges = ranges_of(import_module(module).main)
    assert ranges
    for each in ranges:
        with pytest.raises(click.BadParameter):
            each(value)
