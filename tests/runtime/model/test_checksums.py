"""Checksums are plain SHA-256 of what the package onnx reads."""

import copy
import hashlib
import json
from pathlib import Path

import pytest

from runtime.model.checksums import CHECKSUMS_KEY
from runtime.model.golden import GOLDEN_KEY
from runtime.model.metadata import KEY

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
