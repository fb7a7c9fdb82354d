"""Surfaces, lesions and patients of a whole split: units, rules, files and texts."""

import csv
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from runtime.cli.clinical_text import clinical_text
from runtime.cli.evaluate import main
from runtime.core.errors import ConfigError, DataError
from runtime.data.coco import read_dataset
from runtime.data.samples import Sample
from runtime.metrics import image_scores, pixel_sums, scores
from runtime.scoring.clinical import clinical_notes, unit_of
from runtime.scoring.clinical_config import ClinicalConfig
from runtime.scoring.comparison import compare
from runtime.scoring.evaluation import Evaluation, score
from runtime.scoring.patients import groups_of
from runtime.scoring.results import (
    EvaluationReport,
    ScoredFile,
    read_report,
    write_patients,
    write_report,
    write_samples,
)

pytest.importorskip("scipy")

BOTH = ClinicalConfig(surface=True, lesions=True, smallest_lesion=0.0)
PATIENTS = 11
SLICES = 3


def samples(spacing: tuple[float, float] | None = (0.5, 0.5)) -> list[Sample]:
    return [
        Sample(Path(f"{p}_{s}.png"), f"{p}_{s}.png", 64, 32, (), patient=f"p{p}", spacing=spacing)
        for p in range(PATIENTS)
        for s in range(SLICES)
    ]


def outcomes(shift: int) -> list[tuple[NDArray[np.float32], NDArray[np.uint8]]]:
    """A square and the same square moved; of each patient, the last slice is empty.

    The first patient's lesion is missed, and the second one has a false one in the empty slice.
    """
    found = []
    for patient in range(PATIENTS):
        for number in range(SLICES):
            mask = np.zeros((16, 16), np.uint8)
            if number < SLICES - 1:
                mask[4:8, 3:7] = 1
            map_ = np.roll(mask, shift, axis=1) * np.float32(0.75)
            if patient == 0:
                map_[:] = 0.25
            if patient == 1 and number == SLICES - 1:
                map_[10:12, 10:12] = 0.75
            found.append((map_, mask))
    return found


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return score("one.onnx", (16, 16), samples(), outcomes(1), BOTH)


@pytest.fixture(scope="module")
def report(evaluation: Evaluation) -> EvaluationReport:
    other = score("other.onnx", (16, 16), samples(), outcomes(2), BOTH)
    models = tuple(
        ScoredFile(e.name, "digest", 100, None, None, (16, 16), e) for e in (evaluation, other)
    )
    comparison = compare(evaluation, other)
    return EvaluationReport("data", "test", "segmentation", models, (), (), (comparison,))


def test_lengths_are_in_mm_of_the_image_and_a_miss_is_its_diagonal(evaluation: Evaluation) -> None:
    """A pixel of 16x16 is 2 rows and 4 columns of 32x64, of 0.5 mm each: 1 mm and 2 mm."""
    surface = evaluation.surface
    assert surface is not None
    assert (surface.unit, surface.tolerance, surface.missed) == ("mm", 2.0, 2)
    rows = [sample.surface for sample in evaluation.samples if sample.surface is not None]
    assert rows[0].hd95 == math.hypot(16.0, 32.0)
    assert rows[0].nsd == 0.0
    assert (rows[SLICES].hd95, rows[SLICES].nsd) == (2.0, 1.0)
    assert math.isnan(rows[SLICES - 1].hd95)
    images = PATIENTS * (SLICES - 1)
    assert surface.hd95.spread.images == images
    mean = (2 * math.hypot(16.0, 32.0) + 2.0 * (images - 2)) / images
    assert surface.hd95.spread.mean == surface.hd95.interval.value == pytest.approx(mean)
    assert surface.hd95.interval.low < mean < surface.hd95.interval.high


def test_without_the_spacing_of_every_image_lengths_are_in_its_pixels() -> None:
    known = samples()
    some = [replace(known[0], spacing=None), *known[1:]]
    assert (unit_of(known), unit_of(some)) == ("mm", "px")
    surface = score("m", (16, 16), some, outcomes(1), BOTH).samples[SLICES].surface
    assert surface is not None
    assert surface.hd95 == 4.0


def test_lesions_are_counted_over_all_images(evaluation: Evaluation) -> None:
    lesions = evaluation.lesions
    assert lesions is not None
    found = 2 * (PATIENTS - 1)
    # 16 pixels of 2 square mm have the diameter 6.4 mm; 4 of them 3.2 mm.
    assert lesions.counts.found == (0, found, 0, 0, 0, 0)
    assert lesions.counts.missed == (0, 2, 0, 0, 0, 0)
    assert lesions.counts.false == (1, 0, 0, 0, 0, 0)
    assert lesions.recall.value == found / (found + 2)
    assert lesions.recall.low < lesions.recall.value < lesions.recall.high
    assert lesions.false_per_image.value == 1 / (PATIENTS * SLICES)


def test_a_patients_scores_are_those_of_the_volume(evaluation: Evaluation) -> None:
    assert evaluation.patients is not None
    assert len(evaluation.patients.patients) == PATIENTS
    pairs = outcomes(1)
    values = []
    for number, patient in enumerate(evaluation.patients.patients):
        own = pairs[number * SLICES : (number + 1) * SLICES]
        p, y = np.stack([map_ for map_, _ in own]), np.stack([mask for _, mask in own])
        assert patient.patient == f"p{number}"
        assert patient.soft == pixel_sums(p, y)
        assert patient.thresholded == pixel_sums(p >= 0.5, y)
        values.append(scores(pixel_sums(p >= 0.5, y)).dice)
    dice = evaluation.patients.thresholded["dice"]
    assert dice.spread.mean == pytest.approx(np.mean(values))
    # The missed patient counts, as 0 and as the diagonal.
    assert values[0] == 0.0
    means = {name: e.spread.mean for name, e in evaluation.patients.thresholded.items()}
    assert means["hd95"] == pytest.approx((math.hypot(16, 32) + 2.0 * 10) / 11)
    assert means["lesion_recall"] == 10 / 11
    assert means["false_lesions"] == 1 / 11


def test_without_every_patient_there_are_no_scores_per_patient() -> None:
    some = [replace(samples()[0], patient=None), *samples()[1:]]
    assert score("m", (16, 16), some, outcomes(1)).patients is None
    assert groups_of(some) == ()


def test_groups_are_the_stated_ones_and_else_the_patients() -> None:
    known = samples()[: 2 * SLICES]
    assert groups_of(known) == (0, 0, 0, 1, 1, 1)
    assert groups_of([replace(s, group=7) for s in known]) == (7,) * 6


def test_by_default_nothing_is_added() -> None:
    found = score("m", (16, 16), samples(), outcomes(1))
    assert found.surface is None
    assert found.lesions is None
    assert found.samples[0].surface is None


def test_differences_are_of_the_same_images_and_patients(report: EvaluationReport) -> None:
    (comparison,) = report.comparisons
    found = comparison.find("hd95", "per image at 0.5")
    images = PATIENTS * (SLICES - 1)
    assert found.images == images
    assert found.difference.value == pytest.approx(2.0 * (images - 2) / images)
    assert found.difference.excludes_zero
    assert comparison.find("lesion_recall", "pooled at 0.5").difference.value == 0.0
    patient = comparison.find("dice", "per patient")
    one, other = (model.evaluation.patients for model in report.models)
    assert one is not None
    assert other is not None
    assert patient.images == PATIENTS
    assert patient.difference.value == pytest.approx(
        other.soft["dice"].spread.mean - one.soft["dice"].spread.mean
    )


def test_scores_of_different_settings_are_not_compared(evaluation: Evaluation) -> None:
    other = score("m", (16, 16), samples(), outcomes(1), replace(BOTH, tolerance=3.0))
    with pytest.raises(ConfigError, match="the same unit, tolerance and smallest lesion"):
        compare(evaluation, other)


def test_the_report_is_read_back_unchanged(report: EvaluationReport, tmp_path: Path) -> None:
    write_report(tmp_path / "report.json", report)
    assert str(read_report(tmp_path / "report.json")) == str(report)
    content = json.loads((tmp_path / "report.json").read_text(), parse_constant=pytest.fail)
    rows = content["models"][0]["evaluation"]["samples"]
    assert rows[SLICES - 1]["surface"] == {"hd95": None, "nsd": None}
    assert rows[0]["patient"] == "p0"


def test_the_csv_files_have_the_same_values(report: EvaluationReport, tmp_path: Path) -> None:
    write_samples(tmp_path / "images.csv", report)
    write_patients(tmp_path / "patients.csv", report)
    images, patients = (
        list(csv.DictReader((tmp_path / name).read_text().splitlines()))
        for name in ("images.csv", "patients.csv")
    )
    assert len(images) == 2 * PATIENTS * SLICES
    assert (images[SLICES]["hd95"], images[SLICES]["lesions_found"]) == ("2.0", "1")
    assert (images[SLICES - 1]["hd95"], images[SLICES - 1]["lesions_false"]) == ("", "0")
    assert [row["patient"] for row in patients[:PATIENTS]] == [f"p{n}" for n in range(PATIENTS)]
    rows = report.models[1].evaluation.patients
    assert rows is not None
    for row, patient in zip(patients[PATIENTS:], rows.patients, strict=True):
        assert float(row["dice_at_0.5"]) == image_scores(patient.thresholded).dice
        assert int(row["images"]) == SLICES
    models = (replace(report.models[0], evaluation=score("m", (2, 2), [], [])),)
    with pytest.raises(DataError, match="not every image of test states its patient"):
        write_patients(tmp_path / "no.csv", replace(report, models=models))


def test_the_text_states_the_rules_the_misses_and_the_sizes(report: EvaluationReport) -> None:
    text = "\n".join(clinical_text([(m.path, m.evaluation) for m in report.models]))
    assert "Hausdorff distance (95 %) in mm" in text
    assert "tolerance of 2 mm" in text
    assert "missed: its diagonal and 0 count" in text
    assert "5 to 10" in text
    assert "10 to 20" not in text
    assert "over 11 patients" in text


def test_notes_tell_of_boxes_and_of_a_tolerance_below_a_pixel() -> None:
    config = ClinicalConfig(surface=True)
    boxes = clinical_notes(config, samples(), [(16, 16)], "boxes")
    assert ["masks are boxes" in note for note in boxes] == [True]
    (coarse,) = clinical_notes(config, samples(), [(16, 16), (8, 8)], "segmentation")
    assert (
        "tolerance of 2 mm is less than a pixel or voxel at the scored size, up to 4 mm" in coarse
    )
    assert clinical_notes(ClinicalConfig(), samples(), [(8, 8)], "boxes") == ()


@pytest.fixture(scope="module")
def stating(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phantom's test images, whose entries state patients and spacings, one of them badly."""
    folder = tmp_path_factory.mktemp("data") / "stating"
    (folder / "test").mkdir(parents=True)
    for path in (phantom / "test").glob("*.png"):
        (folder / "test" / path.name).write_bytes(path.read_bytes())
    content = json.loads((phantom / "test" / "_annotations.coco.json").read_text())
    for image in content["images"]:
        image |= {"patient_id": image["file_name"][:9], "spacing": [0.5, 0.25]}
    content["images"][-1]["spacing"] = [0.5, -1]
    (folder / "test" / "_annotations.coco.json").write_text(json.dumps(content))
    return folder


def test_the_spacing_is_read_and_a_bad_one_is_reported(stating: Path) -> None:
    split = read_dataset(stating).split("test")
    assert [s.spacing for s in split.samples] == [(0.5, 0.25)] * 3 + [None]
    assert any("spacing that is not two positive numbers" in str(d) for d in split.defects)


def test_seg_eval_adds_what_is_asked_for(model: Path, stating: Path, tmp_path: Path) -> None:
    arguments = [str(model), "--data", str(stating), "--surface", "--tolerance", "3", "--lesions"]
    files = ["--json", str(tmp_path / "r.json"), "--patients-csv", str(tmp_path / "p.csv")]
    run = CliRunner().invoke(main, [*arguments, *files])
    assert run.exit_code == 0, run.output
    assert "a tolerance of 3 px" in run.output
    assert "Per patient, over 2 patients" in run.output
    assert "Withheld, as 4 images in 2 groups are too few" in run.output
    few = "2 patients are too few for an interval, which needs 10: all intervals."
    assert f"Withheld, as {few}" in run.output
    assert (tmp_path / "p.csv").read_text().count("\n") == 3
    assert read_report(tmp_path / "r.json").groups == (0, 0, 1, 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tolerance", "3"], "--tolerance needs --surface"),
        (["--surface", "--tolerance", "-1"], "tolerance: expected 0 or more, found -1"),
    ],
)
def test_seg_eval_refuses_what_cannot_be(
    model: Path, phantom: Path, arguments: list[str], words: str
) -> None:
    run = CliRunner().invoke(main, [str(model), "--data", str(phantom), *arguments])
    assert run.exit_code == 2
    assert words in run.output


def test_scores_per_patient_need_the_patient_of_every_image(
    model: Path, phantom: Path, tmp_path: Path
) -> None:
    """The phantom's file names state the person."""
    shutil.copytree(phantom / "test", tmp_path / "data" / "test")
    file = tmp_path / "data" / "test" / "_annotations.coco.json"
    file.write_text(file.read_text().replace("person", "scan"))
    for image in file.parent.glob("*.png"):
        image.rename(image.with_name(image.name.replace("person", "scan")))
    table = str(tmp_path / "p.csv")
    for data, code in ((phantom, 0), (tmp_path / "data", 2)):
        run = CliRunner().invoke(
            main, [str(model), "--data", str(data), "--no-baselines", "--patients-csv", table]
        )
        assert run.exit_code == code, run.output
    assert "4 of 4 images state no patient" in run.output
