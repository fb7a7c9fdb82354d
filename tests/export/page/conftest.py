"""Files that stand for ONNX Runtime's in the tests of the page."""

import hashlib
from pathlib import Path

import pytest

from export.page import web_runtime
from export.page.web_runtime import SHA256, WebRuntime, find_web_runtime


@pytest.fixture
def fake_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WebRuntime:
    """Files that stand for ONNX Runtime's, with checksums of their own."""
    folder = tmp_path / "npm" / "node_modules" / web_runtime.PACKAGE / "dist"
    folder.mkdir(parents=True)
    for name in SHA256:
        (folder / name).write_text(f"// {name}")
        monkeypatch.setitem(SHA256, name, hashlib.sha256(f"// {name}".encode()).hexdigest())
    return find_web_runtime(tmp_path / "npm")
