"""Training in processes that can be killed: forked from one that has loaded PyTorch already.

A process of its own for each run would spend seconds on imports, and most kills would hit those.
"""

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

HALF, BEFORE, AFTER = "half", "before", "after"
"""A process is killed in the middle of writing a file, before it is renamed, or right after."""


class Trainings:
    """Runs `train-unet`, one run at a time, without root's right to write everywhere; a context.

    Attributes:
        bound: whether permissions bind it, for which root needs setpriv.
    """

    def __init__(self) -> None:
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        command = [sys.executable, __file__]
        setpriv = shutil.which("setpriv")
        self.bound = os.geteuid() != 0 or setpriv is not None
        if os.geteuid() == 0 and setpriv is not None:
            command = [setpriv, "--inh-caps=-all", "--bounding-set=-all", *command]
        self._server = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def __enter__(self) -> "Trainings":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._server.kill()
        self._server.communicate()

    def run(
        self,
        arguments: Sequence[object],
        *,
        signals: Sequence[tuple[float, int]] = (),
        kill_at: tuple[int, str] | None = None,
        signal_at: tuple[int, int] | None = None,
        curves: bool = True,
    ) -> tuple[int, str]:
        """Run to the end, or as far as it comes.

        Args:
            signals: what to send, and how many seconds after what was sent before.
            kill_at: the process kills itself at its nth write, HALF, BEFORE or AFTER.
            signal_at: after its nth write the process sends itself this signal.
            curves: whether the run ends with its picture, which takes longer than all the rest.

        Returns:
            The exit code, negative for a signal, and all that was written to the terminal.
        """
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        request = {
            "arguments": [str(argument) for argument in arguments],
            "signals": [[seconds, int(number)] for seconds, number in signals],
            "kill_at": kill_at if signal_at is None else (signal_at[0], AFTER),
            "number": int(signal.SIGKILL if signal_at is None else signal_at[1]),
            "curves": curves,
        }
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        code, output = json.loads(self._server.stdout.readline())
        return code, output


def _serve() -> None:
    # Loaded here once, not in each of the processes.
    import pycocotools.mask  # noqa: F401
    from matplotlib.figure import Figure  # noqa: F401
    from PIL import Image

    import train.cli
    import train.run  # noqa: F401

    Image.init()
    _train_once()
    # Else each process would copy all that it looks through for garbage.
    gc.collect()
    gc.freeze()

    assert threading.active_count() == 1
    for line in sys.stdin:
        request = json.loads(line)
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            os.dup2(writing, 1)
            os.dup2(writing, 2)
            os.close(reading)
            os.close(writing)
            _train(request)
        os.close(writing)
        status = None
        for seconds, number in request["signals"]:
            if status is None:
                status = _end(process, within=seconds)
            if status is None:
                os.kill(process, number)
        with os.fdopen(reading, errors="replace") as output:
            text = output.read()
        if status is None:
            _, status = os.waitpid(process, 0)
        print(json.dumps([os.waitstatus_to_exitcode(status), text]), flush=True)  # noqa: T201


def _train_once() -> None:
    """Train a network here: much is done by PyTorch at the first time only."""
    from runtime.data.phantom import PhantomConfig, make_phantom
    from train.config import demo_config
    from train.run import train_network

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = PhantomConfig(train=1, valid=1, test=1, slices=2, size=32)
        data = str(make_phantom(folder / "data", config))
        tiny = demo_config(data, "scratch", width=1, size=16, epochs=1, threads=1, augment=True)
        train_network(tiny, folder / "run", cache=folder / "cache")


def _end(process: int, within: float) -> int | None:
    """Return a child's status if it ends within so many seconds."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.001)
    return None


def _train(request: dict[str, Any]) -> None:
    import train.cli
    import train.resumable_run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not request["curves"]:
        vars(train.resumable_run)["draw_curves"] = lambda *_: None
    if request["kill_at"] is not None:
        write, how = request["kill_at"]
        _signal_at(write, how, request["number"])
    code = 1
    try:
        train.cli.main(request["arguments"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _signal_at(wanted: int, how: str, number: int) -> None:
    write, rename = Path.write_bytes, Path.replace
    done = 0

    def is_it() -> bool:
        nonlocal done
        done += 1
        return done == wanted

    def half(path: Path, content: bytes) -> int:
        if is_it():
            write(path, bytes(content)[: len(content) // 2])
            os.kill(os.getpid(), number)
        return write(path, content)

    def replace(path: Path, target: Path) -> Path:
        it = is_it()
        if it and how == BEFORE:
            os.kill(os.getpid(), number)
        renamed = rename(path, target)
        if it:
            os.kill(os.getpid(), number)
        return renamed

    if how == HALF:
        Path.write_bytes = half  # type: ignore[method-assign, assignment]
    else:
        Path.replace = replace  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    _serve()
