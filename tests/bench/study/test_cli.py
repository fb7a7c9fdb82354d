"""`seg-study` as a user meets it."""

import os
import shutil
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import bench.training
from bench.study.cli import main
from bench.study.prepare import Prepared
from bench.study.result import StudyResult, read_study
from runtime.core.errors import ParityError
from runtime.report.figures import new_figure
from tests.support.study_fixture import Finished

pytestmark = pytest.mark.usefixtures("no_curves")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(
        main, [str(argument) for argument in arguments], prog_name="seg-study"
    )


def as_before(finished: Finished) -> list[object]:
    """Return the options of a study that was carried out."""
    small = finished.config
    options = [f"--{name.replace('_', '-')}={value}" for name, value in small.changes.items()]
    networks = [f"--network={name}" for name in small.networks]
    return [
        "--data", small.data, "--preset", "demo", "--threads", 1, "--cache", finished.cache,
        "--seeds", small.seeds,
        *options, *networks,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--network", "vgg"], "network 'vgg': unknown name"),
        (["--network", "resnet50-dice-augment"], "in this order"),
        (["--network", "scratch", "--network", "scratch"], "each once"),
        (["--network", "ensemble", "--network", "scratch"], "needs two or more other networks"),
        (["--encoder-weights", "vgg=none"], "'vgg'"),
        (["--size", "100"], "multiple of 16"),
        (["--epochs", "0"], "epochs: expected 1 or more"),
        (["--seeds", "0"], "seeds: expected 1 or more, found 0"),
        (["--provider", "auto", "--arithmetic", "bf16"], "the provider auto chooses it"),
    ],
)
def test_wrong_use_ends_with_one_sentence(
    phantom: Path, tmp_path: Path, options: list[str], words: str
) -> None:
    result = call("--data", phantom, "--out", tmp_path / "out", *options)
    assert result.exit_code == 2, result.output
    assert words in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_missing_encoder_weights_are_reported_before_another_network_is_trained(
    phantom: Path, tmp_path: Path
) -> None:
    result = call(
        "--data", phantom, "--preset", "demo", "--out", tmp_path / "out", "--width", 4, "--size",
        32, "--encoder-weights", tmp_path / "none.pth",
    )  # fmt: skip
    assert result.exit_code == 2, result.output
    assert "none.pth: expected encoder weights, found no file" in result.output
    assert not (tmp_path / "out" / "original").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--provider", "nowhere"], "provider: there is no 'nowhere'; choose from "),
        (["--arithmetic", "bf16"], "cpu: it cannot be set to compute in bf16"),
    ],
)
def test_a_provider_that_is_not_there_is_reported_before_a_network_is_trained(
    phantom: Path, tmp_path: Path, options: list[str], words: str
) -> None:
    result = call("--data", phantom, "--preset", "demo", "--out", tmp_path / "out", *options)
    assert result.exit_code == 2, result.output
    assert words in result.output
    assert not (tmp_path / "out" / "original").exists()


def test_data_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    for data in (tmp_path / "none", tmp_path):
        result = call("--data", data, "--out", tmp_path / "out" / "study")
        assert result.exit_code == 2, result.output
        assert f"{data}: no" in result.output


def test_a_data_set_without_a_test_split_is_refused(phantom: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for split in ("train", "valid"):
        (tmp_path / "data" / split).symlink_to(phantom / split)
    result = call("--data", tmp_path / "data", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "no split 'test'" in result.output


def test_runs_of_another_study_and_damaged_checkpoints_are_named_before_any_training(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(finished.folder, tmp_path / "out")
    run = folder / "original" / "seed-0" / "unet-scratch-w4"
    options = [*as_before(finished), "--out", folder]
    monkeypatch.setattr("bench.training.train_network", pytest.fail)
    result = call(*options, "--batch-size", 2)
    assert result.exit_code == 2, result.output
    assert f"{run / 'last.pt'}: expected a run with batch_size 2, found one with 4" in result.output

    run = folder / "grouped" / "seed-1" / "unet-scratch-w4"  # the last but one
    (folder / "steps" / "train-grouped-seed-1-scratch.json").unlink()
    content = (run / "last.pt").read_bytes()
    (run / "last.pt").write_bytes(content[: len(content) // 2])
    result = call(*options)
    assert result.exit_code == 2, result.output
    assert f"{run / 'last.pt'}: " in result.output
    assert (run / "last.pt").read_bytes() == content[: len(content) // 2]


@pytest.mark.usefixtures("as_in_a_terminal")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_a_study_after_a_training_step(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    folder = shutil.copytree(finished.folder, tmp_path / "out")
    place = folder / "original" / "seed-0" / "unet-scratch-w4"
    shutil.rmtree(place)
    train = vars(bench.training)["train_network"]

    def signalled(*arguments: object, **settings: object) -> object:
        os.kill(os.getpid(), number)
        return train(*arguments, **settings)

    monkeypatch.setattr("bench.training.train_network", signalled)
    result = call(*as_before(finished), "--out", folder)
    assert result.exit_code == code, result.output
    assert "unet-scratch-w4: stopped after step 1 of 4 in epoch 1" in result.output
    assert (place / "last.pt").is_file()


def test_a_finished_study_is_reported_again_at_once(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(finished.folder, tmp_path / "out")
    reported: list[tuple[StudyResult, Path]] = []

    def report(result: StudyResult, prepared: Prepared, out: Path) -> Path:
        reported.append((result, out))
        return out / "report.html"

    # Its report is tested elsewhere, and takes longest to draw.
    monkeypatch.setattr("bench.study.report.write_study_report", report)
    monkeypatch.setattr(
        "bench.study.network_steps.measure_cost", lambda *_, **__: pytest.fail("all is done")
    )
    result = call(*as_before(finished), "--out", folder)
    assert result.exit_code == 0, result.output
    ((told, out),) = reported
    assert str(told.splits) == str(finished.result.splits)
    assert out == folder
    for network in finished.result.splits[0].networks:
        assert f"{network.means['iou'].value:.3f}" in result.output
    assert str(folder / "report.html") in result.output


def test_the_status_tells_what_is_done_and_what_is_left(finished: Finished, tmp_path: Path) -> None:
    options = [*as_before(finished), "--status", "--out"]
    result = call(*options, finished.folder)
    assert result.exit_code == 0, result.output
    assert "Finished: 8 of 8 trainings." in result.output
    assert "other settings" not in result.output
    result = call(*options, finished.folder, "--width", 8)
    assert "has runs of other settings: unet-scratch-w4" in result.output
    folder = shutil.copytree(finished.folder, tmp_path / "out")
    place = folder / "grouped" / "seed-1" / "unet-scratch-w4"
    history = (place / "history.csv").read_text().splitlines()
    (place / "history.csv").write_text("\n".join(history[:2]) + "\n")
    place.with_name("unet-scratch-w4.onnx").unlink()
    (folder / "steps" / "evaluate-grouped-seed-1-scratch.json").unlink()
    result = call(*options, folder)
    rows = [line.split() for line in result.output.splitlines()]
    assert ["grouped", "1", "scratch", "1", "2", "no", "no"] in rows
    assert ["grouped", "1", "scratch-augment-dice", "2", "2", "yes", "yes"] in rows
    assert "Finished: 7 of 8 trainings; training takes about" in result.output


def test_the_status_of_a_study_that_has_not_started_writes_nothing(
    phantom: Path, tmp_path: Path
) -> None:
    result = call("--data", phantom, "--preset", "small", "--status", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "Finished: 0 of 4 trainings; how long the others take is known after" in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("no_layout")
def test_a_network_without_a_certificate_is_named_and_the_others_are_compared(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differ(*_: object, **__: object) -> None:
        raise ParityError("the probabilities differ")

    folder = Path(shutil.copytree(finished.folder, tmp_path / "out"))
    (folder / "steps" / "export-grouped-seed-1-scratch.json").unlink()
    monkeypatch.setattr("bench.study.network_steps.export_checkpoints", differ)
    # The figures are tested elsewhere, and take longest to draw.
    monkeypatch.setattr("bench.study.report.figure_png", lambda *_, **__: b"")
    for place in ("bench.study.report", "runtime.report.exploration_page"):
        monkeypatch.setattr(f"{place}.figure_uri", lambda _: "data:,")
    monkeypatch.setattr("bench.study.figures._examples_figure", lambda *_: new_figure(1.0, 1.0))
    found = call(*as_before(finished), "--splits", "grouped", "--out", folder)
    assert (found.exit_code, found.output.splitlines()[-1]) == (
        1,
        "Error: not finished, without a certificate: scratch, ensemble",
    )
    reason = "scratch, grouped, seed 1: no certificate: the probabilities differ"
    member = "ensemble, grouped, seed 0: no certificate: its member scratch has none"
    result = read_study(folder / "study.json")
    (left,), before = result.splits[0].networks, finished.result.splits[1].networks[1]
    assert left.network == before.network == "scratch-augment-dice"
    assert [run.file for run in left.runs] == [run.file for run in before.runs]
    assert left.means["iou"] == before.means["iou"]
    assert [str(each) for each in result.uncertified][:2] == [reason, member]
    for text in (found.output, (folder / "report.md").read_text()):
        assert reason in text
        assert member in text
    assert reason in (folder / "report.html").read_text()

    (folder / "steps" / "export-grouped-seed-0-scratch-augment-dice.json").unlink()
    found = call(*as_before(finished), "--splits", "grouped", "--out", folder)
    assert (found.exit_code, found.output.splitlines()[-1]) == (
        1,
        "Error: no network is finished: scratch-augment-dice, grouped, seed 0: no certificate: "
        "the probabilities differ",
    )
