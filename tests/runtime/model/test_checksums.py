"""Checksums are plain SHA-256 of what the package onnx reads."""

import copy
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.core.errors import ModelError
from runtime.model.checksums import (
    CHECKSUMS_KEY,
    Checksums,
    check_unchanged,
    digest_of,
    stated_checksums,
    weight_changes,
)
from runtime.model.golden import GOLDEN_KEY
from runtime.model.metadata import KEY
from runtime.model.onnx_file import Parts, read_onnx

onnx = pytest.importorskip("onnx")


def test_checksums_are_plain_sha256_of_what_onnx_reads(model: Path) -> None:
    proto = onnx.load(model)
    noted = {entry.key: entry.value for entry in proto.metadata_props}
    stated = json.loads(noted[CHECKSUMS_KEY])
    assert stated["metadata"] == hashlib.sha256(noted[KEY].encode()).hexdigest()
    assert stated["golden"] == hashlib.sha256(noted[GOLDEN_KEY].encode()).hexdigest()
    assert stated["weights"] == {
        tensor.name: hashlib.sha256(tensor.SerializeToString()).hexdigest()
        for tensor in proto.graph.initializer
    }
    bare = copy.deepcopy(proto)
    del bare.metadata_props[:]
    digest = hashlib.sha256(bare.SerializeToString()).hexdigest()
    assert json.loads(noted[KEY])["parity"]["digest"] == digest


def test_the_digest_is_that_of_compact_json_with_sorted_keys() -> None:
    checksums = Checksums(
        metadata="0a", golden="1b", structure="2c", weights={"w": "3d", "b": "4e"}
    )
    text = (
        '{"golden":"1b","metadata":"0a","schema":"1.0","structure":"2c",'
        '"weights":{"b":"4e","w":"3d"}}'
    )
    assert digest_of(checksums) == hashlib.sha256(text.encode()).hexdigest()


def test_three_changed_weights_are_named_and_the_rest_is_counted() -> None:
    stated = dict.fromkeys("abcdef", "01")
    assert weight_changes(stated, dict.fromkeys("abcdef", "02")) == "a, b, c and 3 more changed"
    assert weight_changes(stated, dict.fromkeys("abc", "01")) == "d, e, f missing"


@pytest.mark.parametrize(("schema", "accepted"), [("1.0", True), ("1.7", True), ("2.0", False)])
def test_one_major_version_of_checksums_is_read(schema: str, accepted: bool) -> None:
    content = {"metadata": "", "golden": "", "structure": "", "weights": {}, "schema": schema}
    parts = Parts((), (), 20, "", 0, {CHECKSUMS_KEY: json.dumps(content)})
    if accepted:
        assert stated_checksums(parts, "m.onnx").schema == schema
    else:
        with pytest.raises(ModelError, match=r"m\.onnx: expected checksums of version 1, found '2"):
            stated_checksums(parts, "m.onnx")


def test_a_file_that_differs_from_its_certificate_is_refused(model: Path) -> None:
    file = read_onnx(model)
    check_unchanged(file)
    assert file.metadata is not None
    changed = replace(file, digest="0" * 64)
    with pytest.raises(ModelError, match=r"changed since its export \(its graph\)"):
        check_unchanged(changed)
    check_unchanged(replace(changed, metadata=None))
    check_unchanged(replace(changed, metadata=replace(file.metadata, parity=None)))
