"""ONNX Runtime's files for the browser: found, and the ones that are expected."""

from pathlib import Path

import pytest

from export.page import web_runtime
from export.page.build import build_page
from export.page.web_runtime import WebRuntime, find_web_runtime
from runtime.core.errors import MissingExtraError, UseError

SHIPPED = Path(__file__).resolve().parents[3] / "artifacts" / "unet-scratch-w16.onnx"


def test_another_version_of_onnx_runtime_is_refused(
    fake_runtime: WebRuntime, tmp_path: Path
) -> None:
    (fake_runtime.folder / web_runtime.WASM_BINARY).write_text("changed")
    with pytest.raises(UseError, match=r"is not the file of onnxruntime-web 1\.30\.0"):
        build_page([SHIPPED], tmp_path / "page", fake_runtime)


def test_a_missing_package_is_reported_with_the_command_that_helps(tmp_path: Path) -> None:
    message = r"has no npm package onnxruntime-web; run npm install onnxruntime-web@1\.30\.0 there"
    with pytest.raises(MissingExtraError, match=message):
        find_web_runtime(tmp_path)


def test_the_current_folder_is_searched_first(
    fake_runtime: WebRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "npm")
    assert find_web_runtime().folder.resolve() == fake_runtime.folder.resolve()
