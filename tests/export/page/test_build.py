"""Building a page, without a browser."""

import base64
import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from export.page import build
from export.page.build import MODULES, build_page
from export.page.web_runtime import SHA256, WebRuntime
from runtime.core.errors import ConfigError, ModelError, OutputError

SHIPPED = Path(__file__).resolve().parents[3] / "artifacts" / "unet-scratch-w16.onnx"
SITE = Path(build.__file__).parent / "site"


def test_a_folder_has_all_that_the_page_loads(fake_runtime: WebRuntime, tmp_path: Path) -> None:
    page = build_page([SHIPPED], tmp_path / "page", fake_runtime)
    files = {str(p.relative_to(page.index.parent)) for p in page.index.parent.rglob("*.*")}
    assert files == {
        "index.html",
        "page/style.css",
        f"models/{SHIPPED.name}",
        *(f"page/{name}" for name in MODULES),
        *(f"onnxruntime/{name}" for name in SHA256),
    }
    assert page.total_bytes == sum(p.stat().st_size for p in page.index.parent.rglob("*.*"))
    assert (page.index.parent / "models" / SHIPPED.name).read_bytes() == SHIPPED.read_bytes()


def test_every_module_of_the_site_is_in_the_page() -> None:
    assert {path.name for path in SITE.glob("*.js")} == set(MODULES)


def test_a_single_file_holds_the_model_and_the_runtime(
    fake_runtime: WebRuntime, tmp_path: Path
) -> None:
    page = build_page([SHIPPED], tmp_path / "page.html", fake_runtime, single_file=True)
    text = page.index.read_text()
    parts = dict(re.findall(r'<script type="text/plain" id="(.*?)">(.*?)</script>', text, re.S))
    assert base64.b64decode(parts["model-0"]) == SHIPPED.read_bytes()
    assert base64.b64decode(parts["wasm"]) == b"// ort-wasm-simd-threaded.wasm"
    assert not re.findall(r'(?:src|href)="(?!data:)', text)


@pytest.mark.parametrize("single_file", [False, True])
def test_the_policy_allows_the_inline_scripts_and_no_other(
    fake_runtime: WebRuntime, tmp_path: Path, single_file: bool
) -> None:
    target = tmp_path / ("page.html" if single_file else "page")
    page = build_page([SHIPPED], target, fake_runtime, single_file=single_file)
    text = page.index.read_text()
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', text)
    assert policy is not None
    allowed = set(re.findall(r"sha256-([\w+/=]+)", policy[1].replace("&#43;", "+")))
    inline = re.findall(r'<script type="(?:importmap|module)">(.*?)</script>', text, re.S)
    inline += re.findall(r"<style>(.*?)</style>", text, re.S)
    hashes = {base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in inline}
    assert allowed == hashes
    assert "unsafe-inline" not in policy[1]
    assert "http" not in policy[1]


def test_a_damaged_file_makes_no_page(fake_runtime: WebRuntime, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.onnx"
    content = bytearray(SHIPPED.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(ModelError, match=r"damaged\.onnx"):
        build_page([damaged], tmp_path / "page", fake_runtime)
    assert not (tmp_path / "page").exists()


def test_a_file_of_another_tool_makes_no_page(
    fake_runtime: WebRuntime, tmp_path: Path, build_onnx: Callable[..., Path]
) -> None:
    with pytest.raises(ModelError, match=r"foreign\.onnx"):
        build_page([build_onnx(tmp_path / "foreign.onnx")], tmp_path / "page", fake_runtime)


def test_a_page_that_is_written_again_keeps_no_other_model(
    fake_runtime: WebRuntime, tmp_path: Path
) -> None:
    other = tmp_path / "other.onnx"
    shutil.copy(SHIPPED, other)
    build_page([SHIPPED, other], tmp_path / "page", fake_runtime)
    build_page([other], tmp_path / "page", fake_runtime)
    assert [p.name for p in (tmp_path / "page" / "models").iterdir()] == ["other.onnx"]


def test_a_folder_without_a_page_keeps_its_models(fake_runtime: WebRuntime, tmp_path: Path) -> None:
    kept = tmp_path / "page" / "models" / "kept.onnx"
    kept.parent.mkdir(parents=True)
    shutil.copy(SHIPPED, kept)
    build_page([SHIPPED], tmp_path / "page", fake_runtime)
    assert kept.exists()


def test_a_page_replaces_a_page_and_no_other_file(fake_runtime: WebRuntime, tmp_path: Path) -> None:
    single, folder = tmp_path / "page.html", tmp_path / "page"
    for target in (single, folder):
        for _ in range(2):
            build_page([SHIPPED], target, fake_runtime, single_file=target is single)
    for target, index in ((single, single), (folder, folder / "index.html")):
        index.write_text("<!doctype html><title>Notes</title>")
        with pytest.raises(OutputError, match=r"\.html: would be replaced, but is no page"):
            build_page([SHIPPED], target, fake_runtime, single_file=target is single)
        assert "Notes" in index.read_text()


def test_a_single_file_is_named_html(fake_runtime: WebRuntime, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"page: a single file's name must end in \.html"):
        build_page([SHIPPED], tmp_path / "page", fake_runtime, single_file=True)
    assert not (tmp_path / "page").exists()


def test_a_page_does_not_replace_its_model(fake_runtime: WebRuntime, tmp_path: Path) -> None:
    model = tmp_path / "page" / "models" / "net.onnx"
    model.parent.mkdir(parents=True)
    shutil.copy(SHIPPED, model)
    with pytest.raises(OutputError, match=r"net\.onnx"):
        build_page([model], tmp_path / "page", fake_runtime)
