"""The page of a network in Chromium, driven by Playwright."""

import io
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from export.page.serve import page_server
from export.page.web_runtime import WebRuntime, find_web_runtime
from runtime.core.errors import MissingExtraError
from tests.support.browser import find_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "artifacts" / "unet-scratch-w16.onnx"
SCAN = ROOT / "artifacts" / "example" / "scan.jpg"


def installed_web_runtime() -> WebRuntime:
    """Return ONNX Runtime for browsers, or skip the test."""
    try:
        return find_web_runtime()
    except MissingExtraError:
        pytest.skip("onnxruntime-web is not installed (make page-tools installs it)")


@contextmanager
def started_playwright() -> Iterator["Playwright"]:
    """Yield what starts browsers, once in a process, or skip the test."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        yield started


@contextmanager
def launched_chromium(playwright: "Playwright", *flags: str) -> Iterator["Browser"]:
    """Yield a browser, or skip the test."""
    executable = find_chromium()
    if executable is None:
        pytest.skip("no Chromium is on the path (SEG_CHROMIUM names one)")
    options = ["--no-sandbox", *flags]
    chromium = playwright.chromium.launch(executable_path=executable, args=options)
    yield chromium
    chromium.close()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Yield the address at which a folder is served."""
    with page_server(folder) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def write_small_model(path: Path) -> Path:
    """Write a file of one convolution at 32x32, with all that a page asks of a file."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    from export.golden_pair import onnx_runtime_pair
    from export.model_file import write_model
    from runtime.model.golden import golden_scan
    from runtime.model.onnx_file import read_onnx

    shipped = read_onnx(SHIPPED)
    assert shipped.metadata is not None
    spec = replace(shipped.metadata.input, height=32, width=32)
    model = onnx.load(SHIPPED)
    weights = np.random.default_rng(0).normal(size=(1, 3, 3, 3)).astype(np.float32)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "weights"))
    (image,), (probability,) = model.graph.input, model.graph.output
    model.graph.node.extend(
        [
            onnx.helper.make_node("Conv", [image.name, "weights"], ["logits"], pads=[1] * 4),
            onnx.helper.make_node("Sigmoid", ["logits"], [probability.name]),
        ]
    )
    golden = onnx_runtime_pair(golden_scan((32, 32), 0), model, spec, threads=1)
    write_model(path, model, replace(shipped.metadata, input=spec), golden)
    return path


class Opened:
    """A page that has checked its networks.

    Args:
        scripts: run before the page's own.

    Attributes:
        requests: addresses that were asked for, data and blob addresses left out.
        complaints: errors of scripts, and what the console shows as an error.
    """

    def __init__(self, browser: "Browser", address: str, scripts: Sequence[str] = ()) -> None:
        self.page: Page = browser.new_context().new_page()
        for script in scripts:
            self.page.add_init_script(script)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self._note(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._hear)
        self.page.goto(address)
        self.page.locator("body[data-ready]").wait_for()

    def _note(self, address: str) -> None:
        if not address.startswith(("data:", "blob:")):
            self.requests.append(address)

    def _hear(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def clear(self) -> None:
        """Remove all scans."""
        self.page.evaluate("() => document.querySelector('#remove-all').click()", None)

    def add(self, *files: Path) -> str:
        """Choose files and return what the page says of them."""
        self.page.evaluate("() => { document.querySelector('#status').textContent = ''; }", None)
        self.page.locator("#picker").set_input_files([str(file) for file in files])
        self.page.get_by_text("predicted.").wait_for()
        return "\n".join(self.page.locator("#status p, #status li").all_inner_texts())

    def maps(self, tmp_path: Path) -> dict[str, NDArray[np.uint16]]:
        """Return the levels of all maps, as the page packs them."""
        with self.page.expect_download() as download:
            self.page.get_by_role("button", name="Download all maps").click()
        archive = tmp_path / "maps.zip"
        download.value.save_as(archive)
        with zipfile.ZipFile(archive) as packed:
            assert packed.testzip() is None
            return {n: np.array(Image.open(io.BytesIO(packed.read(n)))) for n in packed.namelist()}
