"""Evaluation of files, against the single steps that it takes."""

import json
import shutil
from pathlib import Path

import pytest

import runtime
from runtime.core.errors import DataError, ImageError
from runtime.core.progress import Progress
from runtime.data.coco import Dataset, read_dataset
from runtime.data.phantom import PhantomConfig, make_phantom
from runtime.data.targets import choose_targets, target_notes
from runtime.model.predictor import Predictor
from runtime.scoring.baselines import evaluate_baselines
from runtime.scoring.bootstrap import Bootstrap
from runtime.scoring.comparison import compare
from runtime.scoring.evaluation import evaluate
from runtime.scoring.evaluation_run import SIZES_NOTE
from runtime.scoring.files import evaluate_files
from tests.support.model_builder import ModelBuilder


def test_it_is_what_the_single_steps_give(model: Path, phantom: Path, tmp_path: Path) -> None:
    other = Path(shutil.copy(model, tmp_path / "other.onnx"))
    report = runtime.evaluate_files([model, other], phantom)
    data = read_dataset(phantom)
    test = data.split("test")
    first, second = (evaluate(Predictor(path), test) for path in (model, other))
    assert str([m.evaluation for m in report.models]) == str([first, second])
    baselines = evaluate_baselines(data.split("train"), test, (32, 32), masks="segmentation")
    assert str(report.baselines) == str(baselines)
    people = Bootstrap(4, report.groups)
    assert report.groups == (0, 0, 1, 1)  # the phantom's names state persons
    assert str(report.comparisons) == str((compare(first, second, people),))
    assert (report.data, report.split, report.masks) == (str(phantom), "test", "segmentation")
    assert report.warnings == target_notes(
        [test], choose_targets("auto", [test], trained_on="segmentation")
    )
    assert report.skipped == ()


def test_baselines_are_scored_at_the_input_size(model: Path, phantom_data: Dataset) -> None:
    report = evaluate_files([model], phantom_data, size=(64, 64))
    assert {baseline.size for baseline in report.baselines} == {(64, 64)}
    assert evaluate_files([model], phantom_data, baselines=False).baselines == ()


def test_groups_are_drawn_where_each_image_has_one(
    model: Path, phantom: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(phantom, tmp_path / "data"))
    path = data / "test" / "_annotations.coco.json"
    content = json.loads(path.read_text())
    for index, image in enumerate(content["images"]):
        image["group"] = index // 2
    path.write_text(json.dumps(content))
    report = evaluate_files([model, model], data, baselines=False)
    (comparison,) = report.comparisons
    assert comparison.groups == (len(content["images"]) + 1) // 2
    assert report.groups == tuple(index // 2 for index in range(len(content["images"])))


def test_skipped_images_are_named_and_progress_has_phases(
    model: Path, phantom: Path, tmp_path: Path, phantom_data: Dataset
) -> None:
    data = Path(shutil.copytree(phantom, tmp_path / "data"))
    lost = phantom_data.split("test").samples[0].file_name
    (data / "test" / lost).write_bytes(b"no image")
    with pytest.raises(ImageError, match=lost):
        evaluate_files([model], data)
    seen: list[Progress] = []
    report = evaluate_files([model], data, skip_unreadable=True, on_progress=seen.append)
    assert [(image.split, image.file) for image in report.skipped] == [("test", lost)]
    assert list(dict.fromkeys(step.phase for step in seen)) == ["read train", "read test", "tiny"]


def test_a_split_without_readable_images_is_an_error(
    model: Path, phantom: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(phantom, tmp_path / "data"))
    for path in (data / "test").glob("*.png"):
        path.write_bytes(b"no image")
    with pytest.raises(DataError, match="the first: "):
        evaluate_files([model], data, skip_unreadable=True)


def test_a_note_on_provenance_never_costs_the_scores(
    model: Path, phantom: Path, tmp_path: Path, phantom_data: Dataset
) -> None:
    """Whether or not a train image can be read, the test images can be scored."""
    data = Path(shutil.copytree(phantom, tmp_path / "data"))
    lost = phantom_data.split("train").samples[0].file_name
    (data / "train" / lost).unlink()
    report = evaluate_files([model], data, baselines=False)
    assert str(report.models) == str(evaluate_files([model], phantom, baselines=False).models)
    note = report.warnings[-1]  # after those on the masks
    assert note.startswith("It is unknown if the networks were trained on this data set: ")
    assert lost in note


def test_a_lost_train_image_stops_baselines_before_the_networks_are_scored(
    model: Path, phantom: Path, tmp_path: Path, phantom_data: Dataset
) -> None:
    data = Path(shutil.copytree(phantom, tmp_path / "data"))
    (data / "train" / phantom_data.split("train").samples[0].file_name).write_bytes(b"no image")
    seen: list[Progress] = []
    with pytest.raises(ImageError):
        evaluate_files([model], data, on_progress=seen.append)
    assert seen == []


def test_intervals_draw_the_groups_that_the_data_set_states(
    model: Path, build_onnx: ModelBuilder, tmp_path: Path
) -> None:
    config = PhantomConfig(train=1, valid=1, test=24, slices=1, size=32)
    data = make_phantom(tmp_path / "data", config)
    path = data / "test" / "_annotations.coco.json"
    other = build_onnx(tmp_path / "other.onnx", shape=("n", 3, 32, 32))
    split = read_dataset(data).split("test")
    first, second = (evaluate(Predictor(p), split) for p in (model, other))
    pairs = [number // 2 for number in range(24)]
    for owners in (pairs, [*pairs[:-1], None]):
        content = json.loads(path.read_text())
        for image, group in zip(content["images"], owners, strict=True):
            image["group"] = group
        path.write_text(json.dumps(content))
        groups = None if None in owners else pairs
        (found,) = evaluate_files([model, other], data, baselines=False).comparisons
        assert found == compare(first, second, Bootstrap(24, groups))


def test_masks_reach_networks_and_baselines_at_the_size_of_each_file(
    model: Path, phantom_data: Dataset, build_onnx: ModelBuilder, tmp_path: Path
) -> None:
    small = build_onnx(tmp_path / "small.onnx", shape=("n", 3, 16, 24))
    report = evaluate_files([model, small, model], phantom_data, masks="segmentation")
    train, test = phantom_data.split("train"), phantom_data.split("test")
    expected = [
        baseline
        for size in ((32, 32), (16, 24))
        for baseline in evaluate_baselines(train, test, size, masks="segmentation")
    ]
    assert str(list(report.baselines)) == str(expected)
    for scored, path in zip(report.models, (model, small, model), strict=True):
        assert str(scored.evaluation) == str(evaluate(Predictor(path), test, masks="segmentation"))


def test_files_of_different_input_sizes_are_not_compared(
    model: Path, phantom_data: Dataset, build_onnx: ModelBuilder, tmp_path: Path
) -> None:
    free = build_onnx(tmp_path / "free.onnx", shape=("n", 3, "h", "w"))
    own = evaluate_files([model, model], phantom_data, baselines=False)
    assert (len(own.comparisons), SIZES_NOTE in own.warnings) == (1, False)
    fixed = build_onnx(tmp_path / "fixed.onnx", shape=("n", 3, 16, 24))
    mixed = evaluate_files([model, fixed, model], phantom_data, baselines=False)
    (pair,) = mixed.comparisons
    assert (pair.reference, pair.candidate) == (str(model), str(model))
    assert mixed.warnings.count(SIZES_NOTE) == 1
    one = evaluate_files([model, free], phantom_data, size=(64, 64), baselines=False)
    assert (len(one.comparisons), SIZES_NOTE in one.warnings) == (1, False)


def test_an_image_of_the_train_split_is_skipped_once(
    model: Path, phantom: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(phantom, tmp_path / "data"))
    lost = sorted((data / "train").glob("*.png"))[0]
    lost.write_bytes(b"no image")
    for split in ("train", "test"):
        report = evaluate_files([model], data, split=split, skip_unreadable=True)
        assert [(image.split, image.file) for image in report.skipped] == [("train", lost.name)]
