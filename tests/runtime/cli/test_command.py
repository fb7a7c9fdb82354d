"""What commands set up before they run."""

import os
from importlib import import_module

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
