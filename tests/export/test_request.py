"""A request refuses what cannot be exported before any work is done."""

from typing import Any

import pytest

from export.request import ExportRequest, variant_name
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
