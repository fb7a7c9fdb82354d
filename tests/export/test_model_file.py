"""The model card: its front matter is YAML that a hub reads, and its figures are the file's."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml

from export.model_file import METRICS, model_card, write_model
from runtime.core.errors import ParityError
from runtime.model.golden import Difference, Golden
from runtime.model.metadata import MemberInfo
from runtime.model.onnx_file import OnnxFile, read_onnx


@pytest.fixture(scope="module")
def file(model: Path) -> OnnxFile:
    return read_onnx(model)


def test_the_card_lies_beside_the_file(model: Path, file: OnnxFile) -> None:
    assert model.with_suffix(".md").read_text() == model_card(file)


def test_a_graph_with_operators_that_are_not_standard_is_not_written(
    model: Path, file: OnnxFile, tmp_path: Path
) -> None:
    assert file.metadata is not None
    golden = Golden(b"", np.zeros((1, 1), np.float32), 1, Difference(0.1, 0.1), "a test")
    odd = onnx.load(model)
    odd.graph.node[0].domain = "com.microsoft"
    with pytest.raises(ParityError, match=r"expected standard operators of opset 20.*microsoft"):
        write_model(tmp_path / "odd.onnx", odd, file.metadata, golden)
    assert list(tmp_path.iterdir()) == []


def test_the_front_matter_is_read_as_a_model_index(file: OnnxFile) -> None:
    assert file.metadata is not None
    assert file.metadata.training is not None
    _, front, body = model_card(file).split("---\n", 2)
    content = yaml.safe_load(front)
    (entry,) = content["model-index"]
    (result,) = entry["results"]
    assert entry["name"] == file.metadata.name
    assert content["datasets"] == [file.metadata.training.data_name]
    values = {metric["type"]: metric["value"] for metric in result["metrics"]}
    expected = {f"soft_{n}": file.metadata.training.validation[n] for n in METRICS}
    assert values == pytest.approx(expected, abs=1e-6)
    assert file.digest in body
    assert f"{file.metadata.network.parameters:,} parameters" in body


def test_a_name_of_any_characters_stays_yaml(file: OnnxFile) -> None:
    assert file.metadata is not None
    assert file.metadata.training is not None
    name = 'a: "b" {c} #d'
    training = replace(file.metadata.training, data_name=name)
    odd = replace(file, metadata=replace(file.metadata, name=name, training=training))
    content = yaml.safe_load(model_card(odd).split("---\n", 2)[1])
    assert content["model-index"][0]["name"] == name
    assert content["datasets"] == [name]


def test_an_ensemble_has_a_result_for_each_member(file: OnnxFile) -> None:
    about = file.metadata
    assert about is not None
    assert about.training is not None
    members = tuple(MemberInfo(n, about.network, about.training, None) for n in ("one", "two"))
    both = replace(about, training=None, encoder=None, members=members)
    card = model_card(replace(file, metadata=both))
    content = yaml.safe_load(card.split("---\n", 2)[1])
    assert len(content["model-index"][0]["results"]) == 2
    assert "The mean of the probabilities of 2 segmentation networks" in card
    assert "### one" in card
    assert "### two" in card
    assert json.dumps(about.network.parameters) in card.replace(",", "")


def test_a_file_of_another_origin_has_no_card(file: OnnxFile) -> None:
    with pytest.raises(ValueError, match="needs a file with metadata"):
        model_card(replace(file, metadata=None))
