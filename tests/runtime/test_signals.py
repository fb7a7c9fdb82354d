"""What Ctrl-C and SIGTERM do to a command."""

import os
import signal
from collections.abc import Callable, Iterator

import click
import pytest
from click.testing import CliRunner, Result

from runtime.cli.shell import Command
from runtime.cli.signals import stopping
from runtime.errors import StoppedError

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


@pytest.fixture(autouse=True)
def _as_in_a_terminal() -> Iterator[None]:
    """A shell's background, where the tests may run, ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def run(work: Callable[[], None]) -> Result:
    handlers = [signal.getsignal(number) for number, _ in SIGNALS]
    result = CliRunner().invoke(Command("work", callback=work), [])
    assert [signal.getsignal(number) for number, _ in SIGNALS] == handlers
    return result


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_ends_a_command_which_closes_what_is_open(number: int, code: int) -> None:
    closed = []

    def work() -> None:
        try:
            send(number)
            pytest.fail("the signal came to nothing")
        finally:
            closed.append(True)

    result = run(work)
    assert result.exit_code == code
    assert result.output.startswith("Error: stopped by ")
    assert closed


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_the_first_signal_leaves_it_to_the_work_to_stop(number: int, code: int) -> None:
    steps = []

    def work() -> None:
        with stopping() as stop:
            for step in range(10):
                if step == 3:
                    send(number)
                steps.append(step)
                if stop():
                    raise StoppedError(f"stopped after step {step}")

    result = run(work)
    assert (result.exit_code, result.output) == (code, "Error: stopped after step 3\n")
    assert steps == [0, 1, 2, 3]


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_the_second_signal_ends_it_at_once(number: int, code: int) -> None:
    def work() -> None:
        with stopping():
            send(signal.SIGINT)
            send(number)
            pytest.fail("the signal came to nothing")

    result = run(work)
    assert result.exit_code == code
    assert result.output.startswith("Error: stopped by ")


def test_work_that_is_done_when_a_signal_comes_is_done() -> None:
    def work() -> None:
        with stopping() as stop:
            assert not stop()
            send(signal.SIGTERM)
            assert stop()
            click.echo("done")

    result = run(work)
    assert (result.exit_code, result.output) == (0, "done\n")


def test_a_signal_that_is_ignored_stays_so() -> None:
    def work() -> None:
        with stopping() as stop:
            send(signal.SIGINT)
            assert not stop()

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert run(work).exit_code == 0
    finally:
        signal.signal(signal.SIGINT, before)
