"""A request refuses what cannot be exported before any work is done."""

from pathlib import Path
from typing import Any

import pytest

from export.request import ExportRequest, check_files, default_output, variant_name
from runtime.core.errors import ConfigError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"precision": "int8", "optimization": "winograd"},
            "the optimization winograd needs precision fp32, not int8",
        ),
        ({"precision": "int4"}, "unknown precision 'int4': expected one of fp32, fp16, int8"),
        ({"optimization": "fft"}, "unknown optimization 'fft': expected winograd"),
        ({"checkpoints": ()}, r"net\.onnx: no checkpoint to export"),
        ({"license": "my own\nterms"}, "not a license identifier: expected one of SPDX"),
        ({"license": ""}, "not a license identifier"),
    ],
)
def test_what_cannot_be_exported_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ExportRequest(**({"checkpoints": ["best.pt"], "output": "net.onnx"} | settings))


@pytest.mark.parametrize(
    "license_id", ["Apache-2.0", "CC-BY-NC-SA-4.0", "(MIT OR Apache-2.0)", "LicenseRef-clinic"]
)
def test_spdx_identifiers_and_expressions_are_licenses(license_id: str) -> None:
    assert ExportRequest(["best.pt"], "net.onnx", license=license_id).license == license_id


def test_a_variant_is_named_after_what_departs_from_the_plain_file() -> None:
    assert variant_name("fp32") == "fp32"
    assert variant_name("int8") == "int8"
    assert variant_name("fp32", "winograd") == "winograd"


@pytest.mark.parametrize("place", ["runs/unet", "runs", "."])
def test_relative_and_absolute_paths_give_one_place(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "runs" / "unet"
    run.mkdir(parents=True)
    start = {"runs/unet": tmp_path, "runs": tmp_path / "runs", ".": run}[place]
    monkeypatch.chdir(start)
    relative = default_output((run / "best.pt").relative_to(start))
    assert not relative.is_absolute()
    assert relative.resolve() == default_output(run / "best.pt") == tmp_path / "runs" / "unet.onnx"


def test_two_requests_of_one_file_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.pt", "b.pt"):
        Path(name).touch()
    first = ExportRequest(["a.pt"], tmp_path / "net.onnx")
    second = ExportRequest(["b.pt"], tmp_path / "." / "x" / ".." / "net.onnx")
    check_files([first, ExportRequest(["b.pt"], tmp_path / "other.onnx")])
    with pytest.raises(ConfigError, match=r"net\.onnx: b\.pt would replace the file of a\.pt"):
        check_files([first, second])
