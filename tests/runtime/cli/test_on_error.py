"""Images that cannot be read, in a set of others that can."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from runtime.cli.evaluate import main as seg_eval
from runtime.cli.predict import main as seg_predict
from runtime.data.coco import read_dataset
from runtime.data.images import load_scan
from runtime.metrics import METRICS
from runtime.model.predictor import Predictor
from runtime.scoring.evaluation import evaluate

COCO = "_annotations.coco.json"


def run(command: Any, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


@pytest.fixture
def data(phantom: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(phantom, tmp_path / "data"))


def names(data: Path, split: str = "test") -> list[str]:
    return [image["file_name"] for image in json.loads((data / split / COCO).read_text())["images"]]


def edit(data: Path, change: Callable[[dict[str, Any]], object], split: str = "test") -> None:
    path = data / split / COCO
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:500])


def drop_from(content: dict[str, Any], lost: list[str]) -> None:
    gone = {image["id"] for image in content["images"] if image["file_name"] in lost}
    content["images"] = [image for image in content["images"] if image["id"] not in gone]
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] not in gone]


def test_the_rest_is_scored_as_if_those_images_had_never_been_there(
    model: Path, data: Path, phantom: Path, tmp_path: Path
) -> None:
    first, second, *rest = names(data)
    in_train = names(data, "train")[0]
    cut(data / "test" / first)
    (data / "test" / second).unlink()
    cut(data / "train" / in_train)
    fewer = Path(shutil.copytree(phantom, tmp_path / "fewer"))
    edit(fewer, lambda content: drop_from(content, [first, second]))
    edit(fewer, lambda content: drop_from(content, [in_train]), "train")

    found = {}
    for folder, choice in ((data, ["--on-error", "skip"]), (fewer, [])):
        out = tmp_path / f"{folder.name}.json", tmp_path / f"{folder.name}.csv"
        ran = run(seg_eval, model, "--data", folder, "--json", out[0], "--csv", out[1], *choice)
        assert ran.exit_code == 0, ran.output
        found[folder] = (
            json.loads(out[0].read_text()),
            list(csv.DictReader(out[1].read_text().splitlines())),
        )
        if folder == data:
            assert f"split test: {len(rest)} images of {len(rest) + 2}, 2 skipped," in ran.output
            assert "Skipped, because they cannot be read (3):" in ran.output
            for path in (f"test/{first}", f"test/{second}", f"train/{in_train}"):
                assert f"{data / path}: " in ran.output
    (content, rows), (expected, expected_rows) = found[data], found[fewer]
    skipped = [(image["split"], image["file"]) for image in content["skipped"]]
    assert skipped == [("test", first), ("test", second), ("train", in_train)]
    assert expected["skipped"] == []
    assert content["models"] == expected["models"]
    assert content["baselines"] == expected["baselines"]
    lost = [row for row in rows if row["skipped"]]
    assert [row["file"] for row in lost] == [first, second]
    assert all(row[name] == "" for row in lost for name in METRICS)
    assert [row for row in rows if not row["skipped"]] == expected_rows


def test_by_default_such_an_image_ends_the_command(model: Path, data: Path, tmp_path: Path) -> None:
    lost = names(data)[-1]
    for damage in (cut, Path.unlink):
        damage(data / "test" / lost)
        result = tmp_path / "result.json"
        ran = run(seg_eval, model, "--data", data, "--json", result)
        assert ran.exit_code == 2
        (line,) = [line for line in ran.output.splitlines() if line.startswith("Error: ")]
        assert lost in line
        assert not result.exists()


def test_a_mask_that_cannot_be_drawn_is_skipped_with_its_image(model: Path, data: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["annotations"][0]["segmentation"] = [[1, 2]]

    edit(data, change)
    choice = ("--data", data, "--masks", "segmentation")
    assert run(seg_eval, model, *choice).exit_code == 2
    ran = run(seg_eval, model, *choice, "--on-error", "skip")
    assert ran.exit_code == 0, ran.output
    assert "3 images of 4, 1 skipped" in ran.output
    assert (
        "skipped"
        not in run(seg_eval, model, "--data", data, "--masks", "boxes", "--on-error", "skip").output
    )


def test_other_defects_of_a_data_set_are_not_skipped(model: Path, data: Path) -> None:
    edit(data, lambda content: content["images"][0].update(file_name="../../secret.png"))
    ran = run(seg_eval, model, "--data", data, "--on-error", "skip")
    assert ran.exit_code == 2
    assert "secret.png" in ran.output


def test_nothing_that_can_be_read_is_an_error_all_the_same(
    model: Path, data: Path, tmp_path: Path
) -> None:
    for path in (data / "test").glob("*.png"):
        cut(path)
    out = ("--out", tmp_path / "out")
    for ran in (
        run(seg_eval, model, "--data", data, "--on-error", "skip"),
        run(seg_predict, model, data / "test", "--on-error", "skip", *out),
    ):
        assert ran.exit_code == 2
        assert "can be read; the first" in ran.output


def test_prediction_continues_after_an_unreadable_image(
    model: Path, data: Path, tmp_path: Path
) -> None:
    first, second, *rest = names(data)
    cut(data / "test" / first)
    (data / "test" / second).write_text("no image")
    out = tmp_path / "out"
    ran = run(seg_predict, model, data / "test", "--out", out)
    assert ran.exit_code == 2
    assert f"Error: {data / 'test' / sorted([first, second])[0]}: " in ran.output
    ran = run(seg_predict, model, data / "test", "--out", out, "--on-error", "skip")
    assert ran.exit_code == 0, ran.output
    assert "Skipped, because they cannot be read (2):" in ran.output
    assert f"{data / 'test' / first}: damaged image" in ran.output
    assert f"\n{len(rest)} images, 2 skipped, maps and overlays in {out}" in ran.output
    written = {path.name.split(".")[0] for path in out.iterdir()}
    assert written == {Path(name).stem for name in rest}
    assert len(list(out.iterdir())) == 2 * len(rest)


def test_an_error_in_a_thread_ends_an_evaluation_at_its_image(
    model: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = read_dataset(data).split("test")

    def failing(path: Path, size: tuple[int, int], **options: Any) -> object:
        if path == split.samples[2].path:
            raise MemoryError
        return load_scan(path, size, **options)

    monkeypatch.setattr("runtime.model.predictor.load_scan", failing)
    done: list[float] = []
    with pytest.raises(MemoryError):
        evaluate(
            Predictor(model, threads=2), split, on_progress=lambda step: done.append(step.done)
        )
    assert done == [1, 2]
    ran = run(seg_eval, model, "--data", data)
    assert ran.exit_code == 1
    assert "Error: not enough memory available\n" in ran.output
