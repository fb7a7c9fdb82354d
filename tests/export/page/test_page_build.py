"""Building a page, without a browser."""

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from click.testing import CliRunner

from export.page import build, web_runtime
from export.page.build import MODULES, build_page
from export.page.cli import main
from export.page.web_runtime import SHA256, WebRuntime, find_web_runtime
from runtime.core.errors import ConfigError, MissingExtraError, ModelError, OutputError, UseError

SHIPPED = Path(__file__).resolve().parents[3] / "artifacts" / "unet-scratch-w16.onnx"
SITE = Path(build.__file__).parent / "site"


@pytest.fixture
def fake_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WebRuntime:
    """Files that stand for ONNX Runtime's, with checksums of their own."""
    folder = tmp_path / "npm" / "node_modules" / web_runtime.PACKAGE / "dist"
    folder.mkdir(parents=True)
    for name in SHA256:
        (folder / name).write_text(f"// {name}")
        monkeypatch.setitem(SHA256, name, hashlib.sha256(f"// {name}".encode()).hexdigest())
    return find_web_runtime(tmp_path / "npm")


def model_in(page: Path) -> dict[str, Any]:
    """Return what a page of one network knows of it."""
    text = page.read_text()
    found = re.search(r'<script type="application/json" id="content">(.*?)</script>', text, re.S)
    assert found is not None
    (model,) = json.loads(found[1])["models"]
    described: dict[str, Any] = model
    return described


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


def test_the_page_has_the_files_golden_pair_digest_and_card(
    fake_runtime: WebRuntime, tmp_path: Path
) -> None:
    page = build_page([SHIPPED], tmp_path / "page", fake_runtime)
    model = model_in(page.index)
    properties = {p.key: p.value for p in onnx.load(SHIPPED).metadata_props}
    about = json.loads(properties["segmentation"])
    assert model["golden"] == json.loads(properties["segmentation.golden"])
    assert model["sha256"] == hashlib.sha256(SHIPPED.read_bytes()).hexdigest()
    assert model["size"] == [about["input"]["height"], about["input"]["width"]]
    facts = dict(model["facts"])
    assert facts["Parameters"] == f"{about['network']['parameters']:,}"
    assert facts["License"] == about["license"]
    assert f"{about['training']['validation']['iou']:.3f}" in facts["Validation"]


def test_text_from_a_file_cannot_leave_its_element(
    fake_runtime: WebRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = "</script><script>alert(1)</script>"
    monkeypatch.setattr("export.page.content._facts", lambda *_: [("Data", evil)])
    page = build_page([SHIPPED], tmp_path / "page", fake_runtime)
    assert evil not in page.index.read_text()
    model = model_in(page.index)
    assert model["facts"] == [["Data", evil]]


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


def test_models_need_names_of_their_own(fake_runtime: WebRuntime, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="two files are called"):
        build_page([SHIPPED, SHIPPED], tmp_path / "page", fake_runtime)
    with pytest.raises(ConfigError, match="at least one"):
        build_page([], tmp_path / "page", fake_runtime)


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
