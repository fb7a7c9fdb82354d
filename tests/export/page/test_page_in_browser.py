"""The page in Chromium, driven by Playwright."""

import base64
import io
import re
import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from export.page.build import build_page
from export.page.web_runtime import WebRuntime
from runtime.data.coco import read_dataset
from runtime.model.predictor import Predictor
from tests.support.pictures import encoded
from tests.support.web_page import (
    ROOT,
    SCAN,
    SHIPPED,
    Opened,
    installed_web_runtime,
    launched_chromium,
    served,
    started_playwright,
    write_small_model,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright


@pytest.fixture(scope="module")
def web_runtime() -> WebRuntime:
    return installed_web_runtime()


@pytest.fixture(scope="module")
def playwright(web_runtime: WebRuntime) -> Iterator["Playwright"]:
    with started_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(playwright: "Playwright") -> Iterator["Browser"]:
    with launched_chromium(playwright) as chromium:
        yield chromium


@pytest.fixture(scope="module")
def small(web_runtime: WebRuntime, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that takes no time."""
    return write_small_model(tmp_path_factory.mktemp("model") / "small.onnx")


@pytest.fixture(scope="module")
def single_file(
    small: Path, web_runtime: WebRuntime, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    target = tmp_path_factory.mktemp("page") / "page.html"
    return build_page([small], target, web_runtime, single_file=True).index


@pytest.fixture(scope="module")
def folder(small: Path, web_runtime: WebRuntime, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of two networks."""
    target = tmp_path_factory.mktemp("pages") / "page"
    return build_page([SHIPPED, small], target, web_runtime).index.parent


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


@pytest.fixture(scope="module")
def opened_folder(browser: "Browser", folder: Path) -> Iterator[Opened]:
    with served(folder) as address:
        page = Opened(browser, address)
        yield page
        page.page.context.close()


def test_a_served_page_computes_in_threads_and_asks_for_its_own_files_alone(
    opened_folder: Opened,
) -> None:
    assert opened_folder.page.evaluate("() => crossOriginIsolated", None) is True
    assert opened_folder.add(SCAN) == "1 image predicted."
    address = opened_folder.page.url
    assert all(request.startswith(address) for request in opened_folder.requests)
    assert opened_folder.complaints == []


def test_each_network_has_a_row_of_pictures_and_a_map_of_its_own(
    opened_folder: Opened, tmp_path: Path
) -> None:
    opened_folder.add(SCAN)
    rows = opened_folder.page.locator(".row")
    assert rows.locator("h3").all_inner_texts() == [SHIPPED.stem, "small"]
    for row in rows.all():
        boxes = [figure.bounding_box() for figure in row.locator("figure").all()]
        assert len({box["y"] for box in boxes if box}) == 1
    assert opened_folder.maps(tmp_path).keys() >= {
        f"scan.{SHIPPED.stem}.probability.png",
        "scan.small.probability.png",
    }


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


def test_the_probabilities_are_those_of_the_runtime(
    opened: Opened, small: Path, tmp_path: Path
) -> None:
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
        # Less than twice the network's size: the runtime decodes the JPEG whole, as a browser does.
        *turned_files(tmp_path, gray[100:140, 200:260]),
        twelve_bits(tmp_path / "bits.png", gray[100:180, 200:330]),
    ]
    assert opened.add(*files) == f"{len(files)} images predicted."
    maps = opened.maps(tmp_path)
    predictor = Predictor(small)
    for file in files:
        expected = predictor(file)
        found = maps[f"{file.stem}.probability.png"] / 65535
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() < 2e-5, file.name


def test_jpeg_scans_are_decoded_whole(
    opened_folder: Opened, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The runtime decodes a large JPEG at a fraction of its size, which a browser cannot do."""
    root = ROOT.parent / "shared" / "data" / "tumorseg"
    folder = root if root.is_dir() else request.getfixturevalue("full_size_phantom")
    samples = read_dataset(folder).split("test").samples[:4]
    files = [shutil.copy(s.path, tmp_path / f"{i}{s.path.suffix}") for i, s in enumerate(samples)]
    opened_folder.add(*map(Path, files))
    maps = opened_folder.maps(tmp_path)
    predictor = Predictor(SHIPPED)
    for index, file in enumerate(files):
        found = maps[f"{index}.{SHIPPED.stem}.probability.png"] / 65535
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


def clear_png() -> bytes:
    """A picture whose alpha is 0 everywhere."""
    rgba = np.random.default_rng(0).integers(0, 256, (9, 8, 4), np.uint8)
    rgba[..., 3] = 0
    return encoded(Image.fromarray(rgba))


BAD = {
    "text.png": (b"not an image", "this is not an image"),
    "empty.png": (b"", "the file is empty"),
    "huge.png": (huge_png(), "the image has 20000x20000 pixels; at most 67 million are read"),
    "scan.tif": (b"II*\0" + bytes(200), "TIFF files are not read by this page"),
    "scan.dcm": (bytes(128) + b"DICM" + bytes(64), "DICOM files are not read by this page"),
    "scan.nii": (bytes(344) + b"n+1\0", "NIfTI files are not read by this page; seg-predict"),
    "scan.nii.gz": (b"\x1f\x8b" + bytes(9), "gzip (.nii.gz) files are not read by this page"),
    "scan.gif": (b"GIF89a" + bytes(9), "GIF files are not read by this page"),
    "scan.svg": (b"<?xml?><svg>", "SVG files are not read by this page; save the image as PNG"),
    "clear.png": (clear_png(), "the image is transparent nearly everywhere; save it without"),
    "cut.png": (b"\x89PNG\r\n\x1a\n", "damaged"),
    "animated.png": (animated_png(), "this file holds several images"),
    "cut.jpg": (SCAN.read_bytes()[:300], "damaged"),
}


def test_bad_files_are_reported_in_a_sentence_and_the_others_are_predicted(
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


def test_an_empty_drop_is_reported(opened: Opened) -> None:
    drop = "() => document.dispatchEvent(new DragEvent('drop', {dataTransfer: new DataTransfer()}))"
    opened.page.evaluate(drop, None)
    assert "No files were dropped" in opened.page.locator("#status").inner_text()


@pytest.fixture(scope="module")
def refused(
    browser: "Browser",
    small: Path,
    web_runtime: WebRuntime,
    tmp_path_factory: pytest.TempPathFactory,
) -> list[str]:
    """What one page says of two networks: one that gives other numbers, and a damaged one."""
    folder = tmp_path_factory.mktemp("refused")
    damaged = shutil.copy(SHIPPED, folder / "damaged.onnx")
    built = build_page([small, damaged], folder / "page.html", web_runtime, single_file=True)
    text = built.index.read_text()
    changed = re.sub(r'("tolerance": {"largest": )[^,]*', r"\g<1>1e-12", text, count=1)
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
    share = opened.page.locator(".numbers dd").first
    before = share.inner_text()
    opened.page.locator("#threshold").focus()
    opened.page.keyboard.press("End")
    assert share.inner_text() == "0.00 %" != before
    opened.page.locator(".frame").first.focus()
    opened.page.keyboard.press("+")
    transform = opened.page.locator(".overlay canvas").evaluate("e => e.style.transform")
    assert "scale(1.25)" in transform
    opened.page.keyboard.press("0")
    assert "scale(1)" in opened.page.locator(".scan canvas").evaluate("e => e.style.transform")


def test_a_scan_of_other_proportions_is_said_to_be_stretched(
    opened: Opened, tmp_path: Path
) -> None:
    note = opened.page.locator(".note").first
    for size, told in (
        ((200, 100), "the network sees its shapes 2.00 times as high as they are"),
        ((100, 150), "the network sees its shapes 1.50 times as wide as they are"),
        ((103, 100), ""),
    ):
        path = tmp_path / f"{size[0]}.png"
        Image.new("RGB", size).save(path)
        opened.add(path)
        assert told in note.inner_text()
        assert bool(note.inner_text()) == bool(told)


def test_arrows_and_fingers_scroll_the_page_until_a_picture_is_zoomed(opened: Opened) -> None:
    opened.add(SCAN)
    frame = opened.page.locator(".frame").first
    is_taken = """e => !e.dispatchEvent(
        new KeyboardEvent("keydown", { key: "ArrowDown", cancelable: true, bubbles: true }))"""
    touch = "e => getComputedStyle(e).touchAction"
    assert (frame.evaluate(is_taken), frame.evaluate(touch)) == (False, "auto")
    frame.press("+")
    assert (frame.evaluate(is_taken), frame.evaluate(touch)) == (True, "none")
    frame.press("0")


def test_a_scan_that_is_added_is_shown_and_can_be_removed(opened: Opened, tmp_path: Path) -> None:
    opened.clear()
    first, second = (shutil.copy(SCAN, tmp_path / name) for name in ("first.jpg", "second.jpg"))
    heading = opened.page.locator("#shown")
    for added in (first, second):
        opened.add(Path(added))
        assert heading.inner_text() == f"{Path(added).name} (640x640)"
    opened.page.get_by_role("button", name="Remove second.jpg").click()
    opened.page.get_by_text("first.jpg (640x640)").wait_for()
    assert opened.page.locator("#files .name").all_inner_texts() == ["first.jpg"]
    opened.page.get_by_role("button", name="Remove first.jpg").click()
    assert opened.page.locator("#results").is_hidden()
    assert opened.page.locator("#picker").evaluate("e => e === document.activeElement")


def test_the_map_of_a_file_that_is_gone_can_still_be_had(opened: Opened, tmp_path: Path) -> None:
    opened.clear()
    gone, other = (Path(shutil.copy(SCAN, tmp_path / name)) for name in ("gone.jpg", "other.jpg"))
    opened.add(gone, other)
    gone.unlink()
    assert opened.maps(tmp_path).keys() == {"gone.probability.png", "other.probability.png"}
    opened.page.get_by_role("button", name="other.jpg", exact=True).click()
    opened.page.get_by_text("other.jpg (640x640)").wait_for()
    opened.page.get_by_role("button", name="gone.jpg", exact=True).click()
    opened.page.get_by_text("gone.jpg: it can no longer be read").wait_for()
    assert opened.page.locator("#shown").inner_text() == "other.jpg (640x640)"


def test_every_control_has_a_name_and_nothing_is_wider_than_the_window(
    opened_folder: Opened,
) -> None:
    opened_folder.add(SCAN)
    page = opened_folder.page
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("button, input, canvas, .frame, progress")].filter(
            (e) => !(e.ariaLabel || e.textContent.trim() || e.labels?.length)).length""",
        None,
    )
    assert unnamed == 0
    for width in (360, 800, 3840):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("() => document.documentElement.scrollWidth", None) <= width


WEBGPU = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader")
"""WebGPU, computed by the CPU."""
AS_IF_A_GPU = """
    const { get } = Object.getOwnPropertyDescriptor(GPUAdapterInfo.prototype, "isFallbackAdapter");
    Object.defineProperty(GPUAdapterInfo.prototype, "isFallbackAdapter", {
        get() { return globalThis.isTold === true && get.call(this); },
    });"""
WITHOUT_DEVICE = "GPUAdapter.prototype.requestDevice = () => Promise.reject(new Error('no device'))"


@pytest.fixture(scope="module")
def gpu_page(
    small: Path, web_runtime: WebRuntime, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    page = build_page([small], tmp_path_factory.mktemp("webgpu") / "page", web_runtime)
    with served(page.index.parent) as address:
        yield address


@pytest.fixture(scope="module")
def gpu_browser(playwright: "Playwright") -> Iterator["Browser"]:
    with launched_chromium(playwright, *WEBGPU) as chromium:
        yield chromium


def test_a_gpu_computes_where_it_gives_the_certified_numbers(
    gpu_browser: "Browser", gpu_page: str
) -> None:
    opened = Opened(gpu_browser, gpu_page, [AS_IF_A_GPU])
    state = opened.page.locator(".state").inner_text()
    assert "gives the certified numbers" in state
    assert "WebGPU." in state
    is_found = """async (isTold) => {
        globalThis.isTold = isTold;
        return (await import("page/engine.js")).hasWebGpu();
    }"""
    # One that the CPU emulates is slower than WebAssembly.
    assert [opened.page.evaluate(is_found, told) for told in (False, True)] == [True, False]
    opened.page.context.close()


def test_where_the_gpu_fails_webassembly_computes_and_the_card_says_why(
    gpu_browser: "Browser", gpu_page: str
) -> None:
    opened = Opened(gpu_browser, gpu_page, [AS_IF_A_GPU, WITHOUT_DEVICE])
    state = opened.page.locator(".state").inner_text()
    assert "gives the certified numbers" in state
    assert "WebAssembly, " in state
    assert state.endswith("WebGPU is not used: ONNX Runtime cannot load the file.")
    opened.page.context.close()
