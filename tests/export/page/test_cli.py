"""The command `seg-page`."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from export.page.cli import main
from export.page.web_runtime import WebRuntime

SHIPPED = Path(__file__).resolve().parents[3] / "artifacts" / "unet-scratch-w16.onnx"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--single-file", "--serve"], "needs no --serve"),
        (["--port", "80"], "needs --serve"),
        (["--onnxruntime-web", "."], "npm install"),
    ],
)
def test_wrong_use_ends_with_exit_code_2(
    options: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = CliRunner().invoke(main, [str(SHIPPED), *options])
    assert ran.exit_code == 2
    assert message in ran.output


def test_the_command_names_what_it_wrote(fake_runtime: WebRuntime, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    options = ["--out", str(folder), "--onnxruntime-web", str(tmp_path / "npm")]
    ran = CliRunner().invoke(main, [str(SHIPPED), *options])
    assert ran.exit_code == 0, ran.output
    assert ran.output.startswith(f"{folder / 'index.html'}: ")
