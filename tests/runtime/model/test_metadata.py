"""Metadata survives JSON, and a reader accepts later minor versions of its major version alone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.core.errors import ConfigError, ModelError
from runtime.data.resizing import MAX_SIDE
from runtime.model.metadata import KEY, SCHEMA, InputSpec, Metadata, dump_metadata, parse_metadata

onnx = pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def metadata(model: Path) -> Metadata:
    """What export wrote into a file."""
    (text,) = (entry.value for entry in onnx.load(model).metadata_props if entry.key == KEY)
    return parse_metadata(text, "m")


def test_it_survives_json(metadata: Metadata) -> None:
    assert metadata.schema == SCHEMA
    assert metadata.parity is not None
    assert parse_metadata(dump_metadata(metadata), "m") == metadata


def test_a_later_minor_version_with_further_fields_is_read(metadata: Metadata) -> None:
    content = json.loads(dump_metadata(metadata))
    content["schema"], content["later"] = "2.9", "a new field"
    assert parse_metadata(json.dumps(content), "m") == replace(metadata, schema="2.9")


def test_fields_with_a_default_may_be_absent(metadata: Metadata) -> None:
    content = json.loads(dump_metadata(metadata))
    del content["members"], content["license"], content["training"]["augmented"]
    assert parse_metadata(json.dumps(content), "m") == metadata


@pytest.mark.parametrize("version", ["1.9", "3.0", "20.0", "2x", "", None, 2.0])
def test_another_major_version_is_refused(metadata: Metadata, version: object) -> None:
    content = json.loads(dump_metadata(metadata)) | {"schema": version}
    with pytest.raises(ModelError, match=r"^m: expected metadata of version 2, found "):
        parse_metadata(json.dumps(content), "m")


@pytest.mark.parametrize("size", [(0, 64), (64, 0), (-16, 64), (64, MAX_SIDE + 16), (24, 64)])
def test_a_size_that_cannot_be_an_input_is_refused(size: tuple[int, int]) -> None:
    spec = InputSpec(64, 64, multiple=16)
    with pytest.raises(ConfigError, match=r"m\.onnx: expected a height and width in multiples"):
        spec.check_size(size, "m.onnx")
    for allowed in ((64, 64), (16, MAX_SIDE)):
        spec.check_size(allowed, "m.onnx")


def test_the_text_has_sorted_keys(metadata: Metadata) -> None:
    text = dump_metadata(metadata)
    assert text == json.dumps(json.loads(text), sort_keys=True)


def test_a_number_that_json_lacks_is_not_written(metadata: Metadata) -> None:
    assert metadata.parity is not None
    parity = replace(metadata.parity, max_probability=float("nan"))
    with pytest.raises(ValueError, match="not JSON compliant"):
        dump_metadata(replace(metadata, parity=parity))


@pytest.mark.parametrize(
    "change",
    [
        {"height": 0},
        {"width": MAX_SIDE + 1},
        {"multiple": -1},
        {"color_order": "BGR"},
        {"minimum": -1.0},
        {"maximum": 255.0},
        {"resize_filter": "bicubic"},
        {"antialias": False},
        {"jpeg_scaled_decoding": False},
    ],
)
def test_an_input_that_is_made_in_another_way_is_refused(
    metadata: Metadata, change: dict[str, object]
) -> None:
    content = json.loads(dump_metadata(metadata))
    content["input"] |= change
    with pytest.raises(ModelError, match=r"^m: expected an input of "):
        parse_metadata(json.dumps(content), "m")


def test_a_file_without_a_rule_for_other_sizes_means_stretching(metadata: Metadata) -> None:
    content = json.loads(dump_metadata(metadata))
    for name in ("resize", "view_height", "view_width"):
        del content["input"][name]
    spec = parse_metadata(json.dumps(content), "m").input
    assert (spec.resize, spec.framing((8, 8)).view) == ("stretch", None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resize": "crop"}, "expected one of stretch, fit, tile, found str 'crop'"),
        ({"view_width": 0}, "expected a view of 1 pixel or more, found 0"),
    ],
)
def test_an_unknown_rule_for_other_sizes_is_refused(
    metadata: Metadata, change: dict[str, object], message: str
) -> None:
    content = json.loads(dump_metadata(metadata))
    content["input"] |= change
    with pytest.raises(ModelError, match=f"{message}$"):
        parse_metadata(json.dumps(content), "m")
