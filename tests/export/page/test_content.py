"""What a page knows of its networks."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import onnx
import pytest

from export.page.build import build_page
from export.page.web_runtime import WebRuntime
from runtime.core.errors import ConfigError

SHIPPED = Path(__file__).resolve().parents[3] / "artifacts" / "unet-scratch-w16.onnx"


def model_in(page: Path) -> dict[str, Any]:
    """Return what a page of one network knows of it."""
    text = page.read_text()
    found = re.search(r'<script type="application/json" id="content">(.*?)</script>', text, re.S)
    assert found is not None
    (model,) = json.loads(found[1])["models"]
    described: dict[str, Any] = model
    return described


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
    assert model["view"] == model["size"]  # the file does not state what its training images were
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


def test_models_need_names_of_their_own(fake_runtime: WebRuntime, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="two files are called"):
        build_page([SHIPPED, SHIPPED], tmp_path / "page", fake_runtime)
    with pytest.raises(ConfigError, match="at least one"):
        build_page([], tmp_path / "page", fake_runtime)
