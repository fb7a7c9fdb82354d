"""No command reaches a network that was not asked to, and none tells anybody of its use."""

import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import pytest

from bench.cli import main as seg_bench
from bench.study.cli import main as seg_study
from export.cli import main as export_onnx
from export.inspection.cli import main as seg_inspect
from export.page.cli import main as seg_page
from runtime.cli.data import main as seg_data
from runtime.cli.evaluate import main as seg_eval
from runtime.cli.predict import main as seg_predict
from runtime.cli.verify import main as seg_verify
from tests.support.no_network import REFUSED
from train.cli import main as train_unet

ROOT = Path(__file__).resolve().parents[1]
COMMANDS: dict[str, click.Command] = {
    "seg-data": seg_data,
    "seg-predict": seg_predict,
    "seg-eval": seg_eval,
    "seg-verify": seg_verify,
    "train-unet": train_unet,
    "export-onnx": export_onnx,
    "seg-inspect": seg_inspect,
    "seg-page": seg_page,
    "seg-study": seg_study,
    "seg-bench": seg_bench,
}


def run(
    *arguments: str, environment: Mapping[str, str] = os.environ
) -> "subprocess.CompletedProcess[str]":
    path = str(ROOT)
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**environment, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def run_offline(*commands: tuple[object, ...], before: str = "") -> None:
    """Run commands in one process, after some code."""
    texts = [[str(part) for part in command] for command in commands]
    imported = "from tests.support.no_network import main, refuse_network"
    code = f"{imported}\nrefuse_network()\n{before}\nmain({texts!r})"
    ran = run("-c", code)
    assert ran.returncode == 0, ran.stdout + ran.stderr


WITHOUT_LAYOUT = """
import pytest
from tests.support.without_layout import leave_out_layout
leave_out_layout(pytest.MonkeyPatch())"""


@pytest.mark.parametrize(
    "attempt",
    [
        "import urllib.request; urllib.request.urlopen('http://localhost:1')",
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
        "import socket; socket.socket(socket.AF_INET6)",
        "import ctypes; ctypes.CDLL(None).socket(2, 1, 0)",
        "import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', "
        "'import socket; socket.socket()']) or 1)",
    ],
)
def test_an_attempt_is_seen(attempt: str) -> None:
    """Else the tests below would pass whatever a command does."""
    ran = run(
        "-c",
        "from tests.support.no_network import refuse_network; refuse_network()\n"
        f"{attempt}\nprint(1)",
    )
    if sys.platform != "linux" and "urlopen" not in attempt:
        pytest.skip("only Linux sees what does not go through Python's audit hooks")
    assert ran.returncode in (REFUSED, -signal.SIGSYS, -signal.SIGSYS % 256)
    assert not ran.stdout


def test_every_command_of_the_project_is_here() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(project["project"]["scripts"]) == set(COMMANDS)


def test_help_reaches_no_network() -> None:
    helps: list[tuple[object, ...]] = [(name, "--help") for name in COMMANDS]
    for name, command in COMMANDS.items():
        if isinstance(command, click.Group):
            helps += [(name, part, "--help") for part in command.commands]
    run_offline(*helps)


@pytest.fixture(scope="module")
def long_lived(model: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process with a predictor, which waits while other tests run."""
    code = (
        "import numpy, time\n"
        "from tests.support.no_network import refuse_network; refuse_network()\n"
        "from runtime import Predictor\n"
        f"Predictor({str(model)!r}, threads=1)(numpy.zeros((64, 64, 3), numpy.uint8))\n"
        "time.sleep(12)"
    )
    # These are other ways to turn it off, which a user's machine does not have.
    unset = ("ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "CI")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**environment, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


@pytest.mark.usefixtures("long_lived")
def test_the_runtimes_commands_reach_no_network(model: Path, phantom: Path, tmp_path: Path) -> None:
    page = ("--out", tmp_path / "page.html", "--json", tmp_path / "page.json")
    run_offline(
        ("seg-data", "phantom", tmp_path / "set", "--size", 64),
        ("seg-data", "check", phantom),
        ("seg-data", "report", phantom, *page),
        ("seg-data", "audit", phantom, *page),
        ("seg-data", "split", phantom, tmp_path / "split"),
        ("seg-predict", model, phantom / "test", "--out", tmp_path / "maps"),
        ("seg-eval", model, "--data", phantom, "--json", tmp_path / "scores.json"),
        ("seg-verify", model),
        before=WITHOUT_LAYOUT,
    )


def test_measuring_and_inspecting_reach_no_network(model: Path, tmp_path: Path) -> None:
    run_offline(
        ("seg-inspect", model),
        ("seg-bench", model, "--max-seconds", 0.1, "--threads", 1, "--out", tmp_path / "bench"),
    )


WATCH = """if True:
    import os, sys
    class Watch:
        def find_spec(self, name, *_):
            if name == 'onnxruntime': print('telemetry', os.environ.get('ORT_DISABLE_TELEMETRY'))
    sys.meta_path.insert(0, Watch())
"""
WITHOUT_CHOICE = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}


def telemetry(printed: str) -> set[str]:
    """Return what is set whenever ONNX Runtime is looked for, some packages more than once."""
    return set(re.findall(r"^telemetry (.*)$", printed, re.MULTILINE))


@pytest.mark.parametrize("package", ["runtime", "train", "export", "bench.measure.worker"])
def test_onnx_runtime_is_told_to_send_nothing_before_it_is_loaded(package: str) -> None:
    """Its telemetry begins with its import, whatever is said to it afterwards."""
    code = f"{WATCH}\nimport {package}, onnxruntime"
    assert telemetry(run("-c", code, environment=WITHOUT_CHOICE).stdout) == {"1"}
    if package == "runtime":  # the only one that sets it
        chosen = {**WITHOUT_CHOICE, "ORT_DISABLE_TELEMETRY": "0"}
        assert telemetry(run("-c", code, environment=chosen).stdout) == {"0"}


def test_training_and_export_reach_no_network(phantom: Path, tmp_path: Path) -> None:
    """Nor does what a study imports, which loads ONNX Runtime as above.

    Of a UNet, which takes four times as long, no other module is used than of these few layers.
    """
    network = ("--arch", "tests.support.tiny_network:tiny_network")
    tiny = ("--data", phantom, "--width", 2, "--size", 32, "--epochs", 1, "--threads", 1)
    folders = ("--out", tmp_path / "run", "--cache", tmp_path / "cache")
    out = ("--out", tmp_path / "m.onnx")
    commands = [
        [str(part) for part in command]
        for command in (
            ("train-unet", *network, *tiny, *folders),
            ("export-onnx", tmp_path / "run", *network, "--data", phantom, *out),
        )
    ]
    code = f"""{WATCH}
    from tests.support.no_network import main, refuse_network
    refuse_network()
    import bench.study.run, onnxruntime
    main({commands!r})"""
    ran = run("-c", code, environment=WITHOUT_CHOICE)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert telemetry(ran.stdout) == {"1"}


def test_a_predictor_that_lives_longer_reaches_no_network(
    long_lived: "subprocess.Popen[str]",
) -> None:
    """ONNX Runtime's telemetry begins nine seconds after its import, in a thread of its own."""
    _, errors = long_lived.communicate()
    assert long_lived.returncode == 0, errors
