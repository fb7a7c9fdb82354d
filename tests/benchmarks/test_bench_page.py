"""What a prediction costs in a web page, beside one thread of Python; both in one run."""

import base64
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from export.page.build import build_page
from runtime.data.images import load_scan
from runtime.data.resizing import to_input
from runtime.model.predictor import Predictor
from runtime.model.timing import time_interleaved, timed
from tests.support.web_page import (
    SCAN,
    SHIPPED,
    installed_web_runtime,
    launched_chromium,
    started_playwright,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROUNDS = 20
OPEN = """async () => {
    const { openNetwork } = await import("page/network.js");
    const content = JSON.parse(document.querySelector("#content").textContent);
    globalThis.network = await openNetwork(content.models[0], content.engines, () => {});
}"""
PREDICT = """async ([text, size]) => {
    const { fromBase64 } = await import("page/bytes.js");
    const pixels = fromBase64(text);
    await globalThis.network.predict(pixels, size);
    return (await globalThis.network.predict(pixels, size)).milliseconds;
}"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Page"]:
    """A single file, which computes in one thread."""
    web_runtime = installed_web_runtime()
    target = tmp_path_factory.mktemp("page") / "page.html"
    index = build_page([SHIPPED], target, web_runtime, single_file=True).index
    with started_playwright() as started, launched_chromium(started) as chromium:
        opened = chromium.new_context(bypass_csp=True).new_page()
        opened.goto(Path(index).as_uri())
        opened.evaluate(OPEN, None)
        yield opened


@pytest.mark.benchmark(group="prediction in a web page")
def test_a_page_beside_one_thread_of_python(
    benchmark: BenchmarkFixture, page: "Page", report: Callable[[str], None]
) -> None:
    """The engine alone: decoding and resizing are not included on either side."""
    predictor = Predictor(SHIPPED, threads=1)
    pixels = load_scan(SCAN, predictor.size).pixels
    content = [base64.b64encode(pixels.tobytes()).decode(), list(pixels.shape[:2])]

    def in_the_page() -> float:
        return float(page.evaluate(PREDICT, content)) / 1e3

    in_python = timed(partial(predictor.run, to_input(pixels)[None]), untimed=1)
    in_the_page()  # the browser compiles WebAssembly better after some runs
    found = benchmark.pedantic(
        time_interleaved,
        args=([in_the_page, in_python], ROUNDS),
        kwargs={"warm_up_rounds": 5},
        rounds=1,
    )
    web, python = (1e3 * seconds for seconds in found)
    ratios = {"median": np.median(web) / np.median(python), "least": web.min() / python.min()}
    benchmark.extra_info.update(
        web_ms=float(np.median(web)),
        python_ms=float(np.median(python)),
        **{f"ratio_{name}": float(ratio) for name, ratio in ratios.items()},
    )
    report(
        f"one thread: WebAssembly {np.median(web):.1f} ms, Python {np.median(python):.1f} ms; "
        f"ratio {ratios['median']:.2f} of the medians, {ratios['least']:.2f} of the least times"
    )
