"""Building the page: a folder for a web server, or one file that opens from disk."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from export.page.content import PageModel, read_page_model
from export.page.web_runtime import (
    SHA256,
    VERSION,
    WASM_BINARY,
    WASM_SCRIPT,
    WEBGPU_SCRIPT,
    WebRuntime,
)
from runtime.core.errors import ConfigError, OutputError
from runtime.core.files import ensure_apart, write_all, write_text

MODULES = (
    "batch.js",
    "bytes.js",
    "cards.js",
    "downloads.js",
    "draw.js",
    "elements.js",
    "engine.js",
    "golden.js",
    "main.js",
    "network.js",
    "orientation.js",
    "png.js",
    "resize.js",
    "results.js",
    "scan.js",
    "scan_list.js",
    "status.js",
    "text.js",
    "zip.js",
    "zoom.js",
)
_START = 'import "page/main.js";'
_SIGNATURE = b'<meta name="generator" content="seg-page">'
_SIGNATURE_WITHIN = 200
"""Bytes from a page's beginning."""
_RUNTIME_FOLDER = "onnxruntime"
_SINGLE_FILE_POLICY = (
    "default-src 'none'; script-src {hashes} data: 'wasm-unsafe-eval'; style-src {style}; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)
_FOLDER_POLICY = (
    "default-src 'none'; script-src 'self' {hashes} 'wasm-unsafe-eval'; style-src 'self'; "
    "worker-src 'self' blob:; connect-src 'self'; img-src 'self' data: blob:; base-uri 'none'; "
    "form-action 'none'"
)


@dataclass(frozen=True, slots=True)
class Page:
    """A page that was written.

    Attributes:
        index: the file to open.
        total_bytes: of all its files.
    """

    index: Path
    total_bytes: int


def build_page(
    models: Sequence[str | Path],
    out: str | Path,
    runtime: WebRuntime,
    *,
    single_file: bool = False,
) -> Page:
    """Write a page that runs ONNX files in the browser.

    Args:
        models: files that `export-onnx` wrote, with different names.
        out: the folder, or with `single_file` the HTML file.
        runtime: ONNX Runtime's files, as `find_web_runtime` returns them.
        single_file: put everything into one HTML file, which opens from disk. It computes in one
            thread of WebAssembly.

    Raises:
        ConfigError: no model is given, two have the same name, or a single file's name does not
            end in .html.
        ModelError: a model cannot be read, or does not pass `seg-verify`.
        UseError: a file of ONNX Runtime is not that of the pinned version.
        OutputError: the page cannot be written, or would replace a file that is no page.
    """
    target = Path(out)
    _check_target(target, single_file)
    if not models:
        raise ConfigError("a page needs at least one ONNX file")
    names = [Path(path).stem for path in models]
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled is not None:
        raise ConfigError(f"two files are called {doubled}; give them different names")
    read = [read_page_model(path) for path in models]
    if single_file:
        ensure_apart([target], models)
        text = _single_file(read, runtime)
        write_text(target, text)
        return Page(target, len(text.encode()))
    contents = _folder(read, runtime)
    ensure_apart((target / name for name in contents), models)
    write_all(target, contents, removing=_models_of_an_earlier_page(target) - contents.keys())
    return Page(target / "index.html", sum(len(content) for content in contents.values()))


def _check_target(target: Path, single_file: bool) -> None:
    if single_file and target.suffix != ".html":
        raise ConfigError(f"{target}: a single file's name must end in .html")
    index = target if single_file else target / "index.html"
    if index.exists() and not _is_page(index):
        raise OutputError(f"{index}: would be replaced, but is no page of seg-page")


def _is_page(index: Path) -> bool:
    if not index.is_file():
        return False
    with index.open("rb") as file:
        return _SIGNATURE in file.read(_SIGNATURE_WITHIN)


def _models_of_an_earlier_page(folder: Path) -> set[str]:
    """Return the models that a page in `folder` has; none where there is no page of ours."""
    if not _is_page(folder / "index.html"):
        return set()
    return {f"models/{path.name}" for path in (folder / "models").glob("*.onnx")}


def _folder(models: Sequence[PageModel], runtime: WebRuntime) -> dict[str, bytes]:
    contents = {f"{_RUNTIME_FOLDER}/{name}": runtime.content(name) for name in SHA256}
    contents |= {f"page/{name}": _source(name).encode() for name in MODULES}
    contents |= {f"models/{model.name}.onnx": model.content for model in models}
    contents["page/style.css"] = _source("style.css").encode()
    imports = {
        "page/": "./page/",
        "onnxruntime-web/wasm": f"./{_RUNTIME_FOLDER}/{WASM_SCRIPT}",
        "onnxruntime-web/webgpu": f"./{_RUNTIME_FOLDER}/{WEBGPU_SCRIPT}",
    }
    page = _render(
        models,
        {model.name: f"models/{model.name}.onnx" for model in models},
        imports,
        engines={"webgpu": True, "wasm": None},
        style='<link rel="stylesheet" href="page/style.css">',
        policy=_FOLDER_POLICY,
    )
    contents["index.html"] = page.encode()
    return contents


def _single_file(models: Sequence[PageModel], runtime: WebRuntime) -> str:
    style = _source("style.css")
    imports = {f"page/{name}": _script_uri(_source(name).encode()) for name in MODULES}
    imports["onnxruntime-web/wasm"] = _script_uri(runtime.content(WASM_SCRIPT))
    # Never loaded: `engines` says that the page has no WebGPU.
    imports["onnxruntime-web/webgpu"] = imports["onnxruntime-web/wasm"]
    parts = {"wasm": runtime.content(WASM_BINARY)}
    parts |= {f"model-{number}": model.content for number, model in enumerate(models)}
    return _render(
        models,
        {model.name: f"#model-{number}" for number, model in enumerate(models)},
        imports,
        engines={"webgpu": False, "wasm": "#wasm"},
        style=f"<style>{style}</style>",
        policy=_SINGLE_FILE_POLICY.replace("{style}", _hash(style)),
        parts={name: base64.b64encode(content).decode() for name, content in parts.items()},
    )


def _render(
    models: Sequence[PageModel],
    sources: Mapping[str, str],
    imports: Mapping[str, str],
    *,
    engines: Mapping[str, object],
    style: str,
    policy: str,
    parts: Mapping[str, str] | None = None,
) -> str:
    content = {
        "engines": engines,
        "models": [
            {
                "name": model.name,
                "source": sources[model.name],
                "sha256": model.sha256,
                "bytes": len(model.content),
                "input": model.input,
                "output": model.output,
                "size": model.size,
                "view": model.view,
                "golden": model.golden,
                "facts": model.facts,
            }
            for model in models
        ],
    }
    import_map = json.dumps({"imports": imports})
    environment = Environment(
        loader=PackageLoader("export.page", "site"), undefined=StrictUndefined, autoescape=True
    )
    return environment.get_template("index.html").render(
        title=models[0].name if len(models) == 1 else f"{len(models)} networks",
        policy=policy.replace("{hashes}", f"{_hash(import_map)} {_hash(_START)}"),
        style=style,
        import_map=f'<script type="importmap">{import_map}</script>',
        content=json.dumps(content).replace("<", "\\u003c"),
        parts=(parts or {}).items(),
        start=f'<script type="module">{_START}</script>',
        version=version("seg-toolkit"),
        runtime_version=VERSION,
    )


def _source(name: str) -> str:
    return files("export.page").joinpath("site", name).read_text(encoding="utf-8")


def _script_uri(content: bytes) -> str:
    return f"data:text/javascript;base64,{base64.b64encode(content).decode()}"


def _hash(text: str) -> str:
    """Return a source expression that allows exactly this inline text (CSP level 3, 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
