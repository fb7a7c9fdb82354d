"""Every option of `seg-eval` reaches the computation, and every printed number has its name."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import runtime.scoring.evaluation_run
from runtime.cli.evaluate import main
from runtime.cli.evaluation_text import evaluation_text
from runtime.core.schema import to_dict
from runtime.data.coco import Dataset
from runtime.data.phantom import PhantomConfig, make_phantom
from runtime.data.samples import MaskKind
from runtime.model.predictor import Predictor
from runtime.scoring.baselines import evaluate_baselines
from runtime.scoring.evaluation import evaluate
from runtime.scoring.files import evaluate_files
from tests.support.model_builder import ModelBuilder


def seg_eval(*arguments: object) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def scored(folder: Path, *arguments: object) -> dict[str, Any]:
    """The JSON that the command writes."""
    seg_eval(*arguments, "--json", folder / "scores.json")
    content: dict[str, Any] = json.loads((folder / "scores.json").read_text())
    return content


def plain(record: object) -> Any:
    """A result as JSON holds it."""
    return json.loads(json.dumps(to_dict(record)).replace("NaN", "null"))


@pytest.fixture
def predictors(monkeypatch: pytest.MonkeyPatch) -> list[Predictor]:
    """The predictors that an evaluation made."""
    made: list[Predictor] = []

    class Recorded(Predictor):
        def __init__(self, *arguments: Any, **settings: Any) -> None:
            super().__init__(*arguments, **settings)
            made.append(self)

    monkeypatch.setattr(runtime.scoring.evaluation_run, "Predictor", Recorded)
    return made


@pytest.mark.parametrize(
    ("options", "attribute", "value"),
    [
        (("--threads", 1), "threads", 1),
        (("--threads", 3), "threads", 3),
        (("--threads", 3), "concurrency", 3),
        (("--batch-size", 3), "batch_size", 3),
        (("--size", 48), "size", (48, 48)),
        ((), "batch_size", 1),
        ((), "size", (32, 32)),
    ],
)
def test_options_of_the_computation_reach_every_predictor(
    model: Path,
    phantom: Path,
    predictors: list[Predictor],
    options: Sequence[object],
    attribute: str,
    value: object,
) -> None:
    seg_eval(model, model, "--data", phantom, "--no-baselines", *options)
    assert [getattr(predictor, attribute) for predictor in predictors] == [value, value]


@pytest.mark.parametrize("split", ["test", "valid"])
@pytest.mark.parametrize("masks", ["boxes", "segmentation"])
def test_split_and_masks_reach_the_scores_and_the_baselines(
    model: Path, phantom: Path, phantom_data: Dataset, tmp_path: Path, split: str, masks: MaskKind
) -> None:
    content = scored(tmp_path, model, "--data", phantom, "--split", split, "--masks", masks)
    chosen, train = phantom_data.split(split), phantom_data.split("train")
    expected = evaluate(Predictor(model), chosen, masks=masks)
    (found,) = content["models"]
    assert found["evaluation"] == plain(expected)
    assert content["baselines"] == [
        plain(b) for b in evaluate_baselines(train, chosen, (32, 32), masks=masks)
    ]
    assert (content["split"], content["masks"]) == (split, masks)


def test_baselines_are_scored_at_the_size_of_each_file(
    model: Path, phantom: Path, build_onnx: ModelBuilder, tmp_path: Path
) -> None:
    small = build_onnx(tmp_path / "small.onnx", shape=("n", 3, 16, 24))
    content = scored(tmp_path, model, small, model, "--data", phantom)
    sizes = [tuple(baseline["size"]) for baseline in content["baselines"]]
    assert sizes == [(32, 32)] * 3 + [(16, 24)] * 3


def test_without_baselines_the_train_split_may_be_unusable(
    phantom: Path, build_onnx: ModelBuilder, tmp_path: Path
) -> None:
    model = build_onnx(tmp_path / "m.onnx", shape=("n", 3, 32, 32))
    data = Path(shutil.copytree(phantom, tmp_path / "data"))
    path = data / "train" / "_annotations.coco.json"
    content = json.loads(path.read_text())
    content["images"][1]["file_name"] = content["images"][0]["file_name"]
    path.write_text(json.dumps(content))
    arguments = [str(model), "--data", str(data)]
    assert CliRunner().invoke(main, arguments).exit_code == 2
    assert scored(tmp_path, *arguments, "--no-baselines")["baselines"] == []


def test_an_image_that_is_scored_and_averaged_is_skipped_once(
    model: Path, phantom: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(phantom, tmp_path / "data"))
    lost = sorted((data / "train").glob("*.png"))[0]
    lost.write_bytes(b"no image")
    content = scored(tmp_path, model, "--data", data, "--split", "train", "--on-error", "skip")
    assert [image["file"] for image in content["skipped"]] == [lost.name]


def rows_of(text: str, title: str) -> list[dict[str, str]]:
    """The rows of a printed table, by column; the line before its header starts with `title`."""
    lines = text.splitlines()
    (start,) = (index for index, line in enumerate(lines) if line.startswith(title))
    header = re.split(r"\s{2,}", lines[start + 1].strip())
    rows = []
    for line in lines[start + 3 :]:
        if not line:
            break
        rows.append(dict(zip(header, re.split(r"\s{2,}", line.strip()), strict=True)))
    return rows


def four(value: float) -> str:
    return "-" if value != value else f"{value:.4f}"


def test_every_printed_number_stands_under_its_name(
    model: Path, phantom_data: Dataset, tmp_path: Path
) -> None:
    other = Path(shutil.copy(model, tmp_path / "other.onnx"))
    report = evaluate_files([model, other], phantom_data)
    text = evaluation_text(report)
    scores = rows_of(text, "Soft metrics per image")
    evaluations = [*(m.evaluation for m in report.models), *report.baselines]
    assert len(scores) == len(evaluations)
    for row, evaluation in zip(scores, evaluations, strict=True):
        soft, hard = evaluation.soft, evaluation.thresholded.per_image
        assert row["network"] == Path(evaluation.name).name
        assert {name: row[name] for name in list(row)[1:]} == {
            "accuracy": four(soft.per_image["accuracy"].mean),
            "recall": four(soft.per_image["recall"].mean),
            "precision": four(soft.per_image["precision"].mean),
            "IoU": four(soft.per_image["iou"].mean),
            "pooled IoU": four(soft.pooled.iou),
            "IoU at 0.5": four(hard["iou"].mean),
            "Dice at 0.5": four(hard["dice"].mean),
            "Brier": four(evaluation.calibration.brier),
            "ECE": four(evaluation.calibration.ece),
        }
    for row in rows_of(text, "Distribution of the soft metrics"):
        (evaluation,) = (m.evaluation for m in report.models if Path(m.path).name == row["network"])
        spread = evaluation.soft.per_image[row["metric"]]
        expected = (spread.mean, spread.std, spread.q25, spread.median, spread.q75)
        assert tuple(row[name] for name in ("mean", "std", "25 %", "median", "75 %")) == tuple(
            map(four, expected)
        )
        assert row["pooled"] == four(getattr(evaluation.soft.pooled, row["metric"]))
        assert row["mean at 0.5"] == four(evaluation.thresholded.per_image[row["metric"]].mean)
        assert row["pooled at 0.5"] == four(getattr(evaluation.thresholded.pooled, row["metric"]))


def test_a_printed_difference_has_its_sign_and_the_ends_of_its_interval(
    model: Path, build_onnx: ModelBuilder, tmp_path: Path
) -> None:
    other = build_onnx(tmp_path / "other.onnx", shape=("n", 3, 32, 32))
    # Twelve people, since an interval needs ten groups.
    people = PhantomConfig(train=12, valid=1, test=1, slices=1, size=64)
    data = make_phantom(tmp_path / "people", people)
    report = evaluate_files([model, other], data, split="train", baselines=False)
    rows = rows_of(evaluation_text(report), "Paired differences")
    per_image = [row for row in rows if "per patient" not in row["metric"]]
    assert len(per_image) == 4
    for row in per_image:
        assert row["networks"] == "other.onnx - tiny.onnx"
        one, two = (m.evaluation.soft.per_image[row["metric"]].mean for m in report.models)
        assert float(row["difference"]) == pytest.approx(two - one, abs=1e-4)
        assert float(row["from"]) < float(row["difference"]) < float(row["to"])


def test_baselines_state_their_size_where_there_are_several(
    model: Path, phantom_data: Dataset, build_onnx: ModelBuilder, tmp_path: Path
) -> None:
    small = build_onnx(tmp_path / "small.onnx", shape=("n", 3, 16, 24))
    for files, names in (
        ([model], ["all background"]),
        ([model, small], ["all background, 32x32", "all background, 16x24"]),
    ):
        rows = rows_of(evaluation_text(evaluate_files(files, phantom_data)), "Soft metrics per")
        assert [r["network"] for r in rows if r["network"].startswith("all background")] == names
