"""Metadata survives JSON, and a reader accepts later minor versions of its major version alone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.core.errors import ModelError
from runtime.model.metadata import KEY, SCHEMA, Metadata, dump_metadata, parse_metadata

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


@pytest.mark.parametrize("version", ["1.9", "3.0", "", None, 2.0])
def test_another_major_version_is_refused(metadata: Metadata, version: object) -> None:
    content = json.loads(dump_metadata(metadata)) | {"schema": version}
    with pytest.raises(ModelError, match=r"^m: expected metadata of version 2, found "):
        parse_metadata(json.dumps(content), "m")
