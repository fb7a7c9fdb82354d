"""The page in Chromium, driven by Playwright."""

import base64
import io
import shutil
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from export.page.build import build_page
from export.page.serve import page_server
from export.page.web_runtime import WebRuntime, find_web_runtime
from runtime.core.errors import MissingExtraError
from runtime.data.coco import read_dataset
from runtime.model.predictor import Predictor
from tests.support.browser import find_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ROOT / "artifacts" / "unet-scratch-w16.onnx"
SCAN = ROOT / "artifacts" / "example" / "scan.jpg"


@pytest.fixture(scope="session")
def web_runtime() -> WebRuntime:
    try:
        return find_web_runtime(ROOT / "export" / "page")
    except MissingExtraError:
        pytest.skip("onnxruntime-web is not installed (make page-tools installs it)")


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    playwright = pytest.importorskip("playwright.sync_api")
    executable = find_chromium()
    if executable is None:
        pytest.skip("no Chromium is on the path (SEG_CHROMIUM names one)")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def single_file(web_runtime: WebRuntime, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("page") / "page.html"
    return build_page([SHIPPED], target, web_runtime, single_file=True).index


@pytest.fixture(scope="session")
def folder(web_runtime: WebRuntime, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_page(
        [SHIPPED], tmp_path_factory.mktemp("pages") / "page", web_runtime
    ).index.parent


@pytest.fixture
def served(folder: Path) -> Iterator[str]:
    with page_server(folder) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


class Opened:
    """A page that has checked its network.

    Attributes:
        requests: addresses that were asked for, data and blob addresses left out.
        complaints: errors of scripts, and what the console shows as an error.
    """

    def __init__(self, browser: "Browser", address: str) -> None:
        self.page: Page = browser.new_context().new_page()
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

    def add(self, *files: Path) -> str:
        """Choose files and return what the page says of them."""
        self.page.evaluate("() => { document.querySelector('#status').textContent = ''; }", None)
        self.page.locator("#picker").set_input_files([str(file) for file in files])
        self.page.get_by_text("predicted.").wait_for()
        return self.page.locator("#status").inner_text()

    def maps(self, tmp_path: Path) -> dict[str, NDArray[np.uint16]]:
        """Return the levels of all maps, as the page packs them."""
        with self.page.expect_download() as download:
            self.page.get_by_role("button", name="Download all maps").click()
        archive = tmp_path / "maps.zip"
        download.value.save_as(archive)
        with zipfile.ZipFile(archive) as packed:
            assert packed.testzip() is None
            return {n: np.array(Image.open(io.BytesIO(packed.read(n)))) for n in packed.namelist()}


@pytest.fixture(scope="module")
def opened(browser: "Browser", single_file: Path) -> Iterator[Opened]:
    """One page for all tests: to compile ONNX Runtime costs more than everything that they do."""
    page = Opened(browser, single_file.as_uri())
    yield page
    page.page.context.close()


def test_a_file_from_disk_gives_the_certified_numbers_and_asks_for_nothing(
    opened: Opened, single_file: Path
) -> None:
    assert "gives the certified numbers" in opened.page.locator(".state").inner_text()
    assert opened.add(SCAN) == "1 image predicted."
    assert opened.requests == [single_file.as_uri()]
    assert opened.complaints == []


def test_a_served_page_computes_in_threads_and_asks_for_its_own_files_alone(
    browser: "Browser", served: str
) -> None:
    opened = Opened(browser, served)
    assert opened.page.evaluate("() => crossOriginIsolated", None) is True
    assert opened.add(SCAN) == "1 image predicted."
    assert all(address.startswith(served) for address in opened.requests)
    assert opened.complaints == []
    opened.page.context.close()


def as_png(path: Path, pixels: NDArray[Any]) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def turned_files(folder: Path, gray: NDArray[Any]) -> Iterator[Path]:
    """Yield files that state that they are to be turned."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for ending, image in (
        ("png", Image.fromarray(gray)),
        ("jpg", Image.fromarray(gray)),
        ("webp", Image.fromarray(gray).convert("RGB")),
    ):
        path = folder / f"turned-{ending}.{ending}"
        options: dict[str, Any] = {"lossless": True} if ending == "webp" else {}
        image.save(path, exif=exif, **options)
        yield path


def twelve_bits(path: Path, gray: NDArray[Any]) -> Path:
    """Write a PNG that states 12 significant bits, and does not scale them to 16."""
    content = as_png(path, gray.astype(np.uint16) << 4 | 5).read_bytes()
    chunk = b"sBIT" + bytes([12])
    packed = struct.pack(">I", 1) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(content[:33] + packed + content[33:])
    return path


def animated_png() -> bytes:
    buffer = io.BytesIO()
    frames = [Image.new("L", (8, 8), level) for level in (0, 255)]
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def test_the_probabilities_are_those_of_the_runtime(opened: Opened, tmp_path: Path) -> None:
    """PNG files of every kind, smaller and larger, and files that are to be turned."""
    gray = np.array(Image.open(SCAN).convert("L"))
    rng = np.random.default_rng(0)
    deep = (gray.astype(np.uint16) * 257 + rng.integers(0, 257, gray.shape)).clip(0, 65535)
    alpha = np.dstack([gray, gray, gray, np.full_like(gray, 255)])
    files = [
        as_png(tmp_path / "gray.png", gray),
        as_png(tmp_path / "color.png", np.dstack([gray, gray // 2, 255 - gray])),
        as_png(tmp_path / "deep.png", deep.astype(np.uint16)),
        as_png(tmp_path / "alpha.png", alpha),
        as_png(tmp_path / "small.png", gray[100:180, 200:330]),
        as_png(tmp_path / "wide.png", gray[100:300]),
        *turned_files(tmp_path, gray[100:180, 200:330]),
        twelve_bits(tmp_path / "bits.png", gray[100:180, 200:330]),
    ]
    assert opened.add(*files) == f"{len(files)} images predicted."
    maps = opened.maps(tmp_path)
    predictor = Predictor(SHIPPED)
    for file in files:
        expected = predictor(file)
        found = maps[f"{file.stem}.probability.png"] / 65535
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() < 2e-5, file.name


def test_jpeg_scans_are_decoded_whole(
    opened: Opened, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The runtime decodes a large JPEG at a fraction of its size, which a browser cannot do."""
    root = ROOT.parent / "shared" / "data" / "tumorseg"
    folder = root if root.is_dir() else request.getfixturevalue("full_size_phantom")
    samples = read_dataset(folder).split("test").samples[:6]
    files = [shutil.copy(s.path, tmp_path / f"{i}{s.path.suffix}") for i, s in enumerate(samples)]
    opened.add(*map(Path, files))
    maps = opened.maps(tmp_path)
    predictor = Predictor(SHIPPED)
    for index, file in enumerate(files):
        found = maps[f"{index}.probability.png"] / 65535
        whole = np.asarray(Image.open(file))
        assert np.abs(found - predictor(whole)).max() < 2e-5
        assert np.abs(found - predictor(file)).mean() < 0.005


SIZES = ((640, 640, 128, 128), (97, 41, 32, 64), (20, 30, 128, 96), (33, 33, 32, 33))


def test_resizing_is_pillows_to_the_level(opened: Opened) -> None:
    for height, width, to_height, to_width in SIZES:
        pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
        found = opened.page.evaluate(
            """async ([text, from, to]) => {
                const { resizePixels } = await import("page/resize.js");
                const { fromBase64 } = await import("page/bytes.js");
                const found = resizePixels(fromBase64(text), from, to, 3);
                return Array.from(found, (v) => v.toString(16).padStart(2, "0")).join("");
            }""",
            [base64.b64encode(pixels.tobytes()).decode(), [height, width], [to_height, to_width]],
        )
        resized = Image.fromarray(pixels).resize((to_width, to_height), Image.Resampling.BILINEAR)
        expected = np.asarray(resized)
        assert bytes.fromhex(found) == expected.tobytes()


def huge_png() -> bytes:
    """Return a PNG that states 20000x20000 pixels and holds none."""
    header = struct.pack(">IIBBBBB", 20000, 20000, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    packed = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


BAD = {
    "text.png": (b"not an image", "this is not an image"),
    "empty.png": (b"", "the file is empty"),
    "huge.png": (huge_png(), "an image of 20000x20000 pixels is too large"),
    "scan.tif": (b"II*\0" + bytes(200), "TIFF files are not read by browsers"),
    "scan.dcm": (bytes(128) + b"DICM" + bytes(64), "DICOM files are not read"),
    "cut.png": (b"\x89PNG\r\n\x1a\n", "damaged"),
    "animated.png": (animated_png(), "this file holds several images"),
    "cut.jpg": (SCAN.read_bytes()[:300], "damaged"),
}


def test_bad_files_are_told_in_a_sentence_and_the_others_are_predicted(
    opened: Opened, tmp_path: Path
) -> None:
    files = []
    for name, (content, _) in BAD.items():
        (tmp_path / name).write_bytes(content)
        files.append(tmp_path / name)
    said = opened.add(*files, SCAN).splitlines()
    assert said[0] == "1 image predicted."
    for line, (name, (_, message)) in zip(said[1:], BAD.items(), strict=True):
        assert line.startswith(f"{name}: ")
        assert message in line
    assert opened.complaints == []


def test_an_empty_drop_is_told(opened: Opened) -> None:
    drop = "() => document.dispatchEvent(new DragEvent('drop', {dataTransfer: new DataTransfer()}))"
    opened.page.evaluate(drop, None)
    assert "No files were dropped" in opened.page.locator("#status").inner_text()


@pytest.fixture(scope="module")
def refused(
    browser: "Browser", web_runtime: WebRuntime, tmp_path_factory: pytest.TempPathFactory
) -> list[str]:
    """What one page says of two networks: one that gives other numbers, and a damaged one."""
    folder = tmp_path_factory.mktemp("refused")
    damaged = shutil.copy(SHIPPED, folder / "damaged.onnx")
    built = build_page([SHIPPED, damaged], folder / "page.html", web_runtime, single_file=True)
    text = built.index.read_text()
    changed = text.replace('"largest": 1e-05', '"largest": 1e-12', 1)
    assert changed != text
    head, part, model = changed.partition('id="model-1">')
    built.index.write_text(head + part + model[:4000] + "AAAA" + model[4004:])
    opened = Opened(browser, built.index.as_uri())
    states = opened.page.locator(".state").all_inner_texts()
    assert opened.page.locator("#picker").is_disabled()
    assert "No network can be used" in opened.page.locator("#status").inner_text()
    opened.page.context.close()
    return states


def test_a_network_with_other_numbers_is_refused(refused: list[str]) -> None:
    assert "gives other numbers than the certified ones" in refused[0]


def test_a_damaged_network_is_refused(refused: list[str]) -> None:
    assert "the ONNX file is damaged" in refused[1]


def test_sliders_and_keys_change_what_is_shown(opened: Opened) -> None:
    opened.add(SCAN)
    cell = opened.page.locator("#numbers td").nth(1)
    share = cell.inner_text()
    opened.page.locator("#threshold").focus()
    opened.page.keyboard.press("End")
    assert cell.inner_text() == "0.00 %" != share
    opened.page.locator(".window").first.focus()
    opened.page.keyboard.press("+")
    transform = opened.page.locator("#overlay-0").evaluate("e => e.style.transform")
    assert "scale(1.25)" in transform
    opened.page.keyboard.press("0")
    assert "scale(1)" in opened.page.locator("#scan").evaluate("e => e.style.transform")


def test_every_control_has_a_name_and_nothing_is_wider_than_the_window(opened: Opened) -> None:
    opened.add(SCAN)
    unnamed = opened.page.evaluate(
        """() => [...document.querySelectorAll("button, input, canvas, .window")].filter(
            (e) => !(e.ariaLabel || e.textContent.trim() || e.labels?.length)).length""",
        None,
    )
    assert unnamed == 0
    for width in (360, 800, 3840):
        opened.page.set_viewport_size({"width": width, "height": 900})
        assert opened.page.evaluate("() => document.documentElement.scrollWidth", None) <= width
