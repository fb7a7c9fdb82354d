"""A network that was trained on other images than the data set's is told of."""

from dataclasses import replace
from pathlib import Path

import pytest

from runtime.data.audit import audit_dataset
from runtime.data.coco import Dataset, read_dataset
from runtime.data.grouped_split import split_by_group
from runtime.data.split_files import write_split
from runtime.model.metadata import MemberInfo
from runtime.model.onnx_file import read_onnx
from runtime.scoring.provenance import foreign_training


def test_a_file_is_at_home_on_what_it_was_trained_on(model: Path, phantom_data: Dataset) -> None:
    assert foreign_training([read_onnx(model)], phantom_data) == ()


def test_a_data_set_that_was_split_again_is_another(
    model: Path, phantom_data: Dataset, tmp_path: Path
) -> None:
    write_split(
        phantom_data, split_by_group(phantom_data, audit_dataset(phantom_data)), tmp_path / "again"
    )
    (sentence,) = foreign_training([read_onnx(model)], read_dataset(tmp_path / "again"))
    assert sentence.startswith("tiny.onnx: trained on phantom, not on")


def test_nothing_is_said_where_nothing_is_known(
    model: Path, phantom: Path, phantom_data: Dataset, tmp_path: Path, build_onnx: object
) -> None:
    assert callable(build_onnx)
    other = build_onnx(tmp_path / "other.onnx")
    assert foreign_training([read_onnx(other)], phantom_data) == ()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "test").symlink_to(phantom / "test")
    assert foreign_training([read_onnx(model)], read_dataset(tmp_path / "data")) == ()


def test_the_committed_network_is_at_home_on_the_real_data(real_data: Dataset) -> None:
    path = Path(__file__).resolve().parents[3] / "artifacts" / "unet-scratch-w16.onnx"
    if not path.is_file():
        pytest.skip("the committed network is not there")
    assert foreign_training([read_onnx(path)], real_data) == ()


def test_an_ensemble_is_foreign_if_one_of_its_networks_is(
    model: Path, phantom_data: Dataset
) -> None:
    file = read_onnx(model)
    assert file.metadata is not None
    assert file.metadata.training is not None
    home = MemberInfo("home", file.metadata.network, file.metadata.training, None)
    away = replace(
        home, training=replace(home.training, data_sha256="0" * 64, data_name="elsewhere")
    )
    for members, foreign in (([home, home], 0), ([home, away], 1), ([away, away], 1)):
        metadata = replace(file.metadata, training=None, members=tuple(members))
        found = foreign_training([replace(file, metadata=metadata)], phantom_data)
        assert len(found) == foreign
