"""What Ctrl-C and SIGTERM do to a command."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from runtime.cli import signals
from runtime.cli.command import Command
from runtime.cli.signals import stopping
from runtime.core.errors import SegmentationError, StoppedError

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


pytestmark = pytest.mark.usefixtures("as_in_a_terminal")


def run(work: Callable[[], None]) -> Result:
    """Run a command, and see that it leaves handlers, wakeup file and threads as they were."""
    handlers = [signal.getsignal(number) for number, _ in SIGNALS]
    threads = threading.enumerate()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    earlier = signal.set_wakeup_fd(writing)
    try:
        result = CliRunner().invoke(Command("work", callback=work), [])
    finally:
        assert signal.set_wakeup_fd(earlier) == writing
        os.close(reading)
        os.close(writing)
    assert [signal.getsignal(number) for number, _ in SIGNALS] == handlers
    assert threading.enumerate() == threads
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
def test_a_signal_while_a_c_module_is_loaded_ends_a_command(number: int, code: int) -> None:
    def load() -> None:
        try:
            send(number)
        except KeyboardInterrupt as interruption:  # as pybind11 does
            raise ImportError("initialization failed") from interruption

    def work() -> None:
        try:
            load()
        except ImportError as error:
            raise SegmentationError("the library cannot be loaded") from error

    for each in (load, work):
        result = run(each)
        assert result.exit_code == code
        assert result.output.startswith("Error: stopped by ")


def test_another_failed_import_stays_one() -> None:
    def work() -> None:
        raise ImportError("initialization failed") from ValueError("no device")

    result = run(work)
    assert result.exit_code == 1
    assert "unexpected ImportError: initialization failed" in result.output


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
            time.sleep(signals._REPEATED_S)
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


STUCK = """
import ctypes
from contextlib import nullcontext
from click import command
from runtime.cli.command import Command
from runtime.cli.signals import stopping

@command(cls=Command)
def work():
    mutex = ctypes.create_string_buffer(64)
    lock = ctypes.CDLL(None).pthread_mutex_lock
    with {context}():
        print("at work", flush=True)
        lock(mutex)
        lock(mutex)  # in C, for ever

work()
"""


def wait_until_asleep(process: int) -> None:
    """Wait until a process waits for something itself, however busy the machine is."""
    times = 0
    while times < 5:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        times = times + 1 if state == "S" else 0
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="where all zeros are a mutex")
@pytest.mark.parametrize(
    ("number", "code", "context"),
    [(*found, name) for found, name in zip(SIGNALS, ("nullcontext", "stopping"), strict=True)],
)
def test_a_second_signal_ends_what_no_handler_can_run_in(
    number: int, code: int, context: str
) -> None:
    """As in a graph that never ends, inside of ONNX Runtime."""
    with subprocess.Popen(
        [sys.executable, "-c", STUCK.format(context=context)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "at work\n"
            wait_until_asleep(process.pid)
            process.send_signal(signal.SIGINT)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(signals._REPEATED_S + 0.4)
            process.send_signal(number)
            _, message = process.communicate(timeout=300)
        finally:
            process.kill()
    assert process.returncode == code
    (line,) = message.split("\n")[1:-1]
    assert line.startswith("Error: stopped by ")


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The signals for which the process would have been ended."""
    numbers: list[int] = []
    monkeypatch.setattr(signals, "_end", numbers.append)
    monkeypatch.setattr(signals, "_REPEATED_S", 0.2)
    monkeypatch.setattr(signals, "_GRACE_S", 0.2)
    return numbers


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """Waits until the watch has waited once more, however busy the machine is."""
    stays_open, ends = vars(signals)["_stays_open"], threading.Semaphore(0)

    def counted(pipe: int, seconds: float) -> bool:
        try:
            return bool(stays_open(pipe, seconds))
        finally:
            ends.release()

    monkeypatch.setattr(signals, "_stays_open", counted)
    return lambda: ends.acquire(timeout=300)


def test_what_a_second_signal_finds_to_close_may_take_its_time(
    ended: list[int], waited: Callable[[], bool]
) -> None:
    def work() -> None:
        with stopping():
            send(signal.SIGINT)
            assert waited()
            try:
                send(signal.SIGINT)
            finally:
                assert waited()

    assert run(work).exit_code == 130
    assert ended == []


def test_a_signal_that_comes_twice_at_once_is_one(
    ended: list[int], waited: Callable[[], bool]
) -> None:
    """As `timeout` sends it, to a process and to the group of it."""

    def work() -> None:
        os.write(wakeup(), bytes([signal.SIGTERM, signal.SIGTERM]))
        assert waited()
        time.sleep(0.3)  # in which a second one would end the process

    assert run(work).exit_code == 0
    assert ended == []


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_that_comes_twice_at_once_lets_the_work_stop(
    number: int, code: int, ended: list[int], waited: Callable[[], bool]
) -> None:
    def work() -> None:
        with stopping() as stop:
            send(number)
            send(number)
            assert stop()
            assert waited()
            time.sleep(0.3)
            raise StoppedError("stopped")

    result = run(work)
    assert (result.exit_code, result.output) == (code, "Error: stopped\n")
    assert ended == []


def wakeup() -> int:
    """Return where the numbers of signals are written to."""
    number = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(number, warn_on_full_buffer=False)
    return number


def test_a_number_of_another_signal_is_none_of_the_watchs(
    ended: list[int], waited: Callable[[], bool]
) -> None:
    def work() -> None:
        os.write(wakeup(), bytes([signal.SIGCHLD, signal.SIGCHLD]))
        for _ in range(2):
            assert ended == []
            os.write(wakeup(), bytes([signal.SIGTERM]))
            assert waited()

    assert run(work).exit_code == 0
    assert ended == [signal.SIGTERM]


@pytest.mark.parametrize("second_was_handled", [False, True])
def test_the_process_ends_where_only_the_first_signal_was_handled(
    ended: list[int], waited: Callable[[], bool], second_was_handled: bool
) -> None:
    """As where the first handler ran, and the job's next step is in C and never ends."""
    reading, writing = os.pipe()
    handled = [time.monotonic() - 10.0]
    watch = threading.Thread(target=signals._watch, args=(reading, {signal.SIGTERM}, handled))
    watch.start()
    os.write(writing, bytes([signal.SIGTERM]))
    assert waited()
    os.write(writing, bytes([signal.SIGTERM]))
    if second_was_handled:
        handled.append(time.monotonic())
    assert waited()
    os.close(writing)
    watch.join()
    os.close(reading)
    assert ended == ([] if second_was_handled else [signal.SIGTERM])


def test_signals_within_a_tenth_of_a_second_are_one(
    ended: list[int], waited: Callable[[], bool]
) -> None:
    reading, writing = os.pipe()
    os.write(writing, bytes([signal.SIGTERM, signal.SIGTERM]))
    watch = threading.Thread(target=signals._watch, args=(reading, {signal.SIGTERM}, []))
    watch.start()
    assert waited()
    time.sleep(0.3)
    assert ended == []
    os.write(writing, bytes([signal.SIGTERM]))
    assert waited()
    os.close(writing)
    watch.join()
    os.close(reading)
    assert ended == [signal.SIGTERM]
