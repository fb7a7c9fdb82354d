"""A sweep of real networks, as small as one can be: what it trains, keeps and concludes."""

import json
import math
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("onnxscript")
pytest.importorskip("matplotlib")

from click.testing import CliRunner

import bench.training
from bench.cli import main as seg_bench
from bench.measure.settings import MeasurementSettings, Scoring
from bench.sweep.config import SweepConfig
from bench.sweep.page import write_sweep_pages
from bench.sweep.result import Gain, SweepResult, read_sweep
from bench.sweep.run import run_sweep
from bench.sweep.tables import sentences, sweep_table
from export.onnx_export import is_exported
from export.request import ExportRequest
from runtime.core.errors import ConfigError, ModelError, StoppedError
from runtime.data.coco import read_dataset
from runtime.data.phantom import PhantomConfig, make_phantom
from runtime.model.predictor import Predictor
from runtime.model.stopping_rule import StoppingRule
from runtime.report.cells import as_table
from runtime.scoring.evaluation import evaluate
from runtime.scoring.intervals import Interval
from tests.support.inline_workers import use_inline_workers
from tests.support.self_contained import external_references, handlers

BRIEF = MeasurementSettings(
    threads=1,
    batch_sizes=(),
    rule=StoppingRule(min_runs=8, max_runs=8),
    startups=0,
    stage_runs=1,
    limit_s=120.0,
)
CHANGES = {"epochs": 1, "batch_size": 8}


pytestmark = pytest.mark.usefixtures("no_curves")


@dataclass
class Swept:
    config: SweepConfig
    folder: Path
    cache: Path
    result: SweepResult
    told: list[str]

    def again(
        self, folder: Path, config: SweepConfig | None = None, models: tuple[Path, ...] = (),
        **options: object,
    ) -> SweepResult:  # fmt: skip
        arguments: dict[str, object] = {"cache": self.cache, "result_file": folder / "again.json"}
        return run_sweep(
            config or self.config,
            models,
            BRIEF,
            folder,
            **{**arguments, **options},  # type: ignore[arg-type]
        )


@pytest.fixture(scope="module", autouse=True)
def all_inline_workers() -> Iterator[None]:
    """Networks are measured in this process."""
    with pytest.MonkeyPatch.context() as patch:
        use_inline_workers(patch)
        yield


@pytest.fixture(scope="module")
def swept(
    phantom: Path,
    model: Path,
    quick_exports: None,
    no_curves: None,
    all_inline_workers: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Swept:
    """A sweep on the data that the model was trained on, with enough test images for intervals."""
    folder = tmp_path_factory.mktemp("sweep")
    scans = PhantomConfig(train=1, valid=1, test=12, slices=1, size=64)
    data = make_phantom(folder / "phantom", scans)
    for split in ("train", "valid"):
        shutil.rmtree(data / split)
        shutil.copytree(phantom / split, data / split)
    config = SweepConfig(
        str(data), ("scratch",), (4, 2), (32,), changes=CHANGES, score_size=64, threads=1
    )
    told: list[str] = []
    result = run_sweep(
        config,
        [model],
        BRIEF,
        folder / "out",
        cache=folder / "cache",
        result_file=folder / "out" / "sweep.json",
        on_progress=lambda p: told.append(f"{p.phase}: {p.note}"),
    )
    return Swept(config, folder / "out", folder / "cache", result, told)


def test_the_grid_and_what_was_given_are_measured_and_scored_at_one_size(
    swept: Swept, model: Path
) -> None:
    result = swept.result
    assert [(n.arch, n.width, n.size, n.epochs, n.given) for n in result.networks] == [
        ("scratch", 2, (32, 32), 1, False),
        ("scratch", 4, (32, 32), 1, False),
        ("scratch", 4, (32, 32), 2, True),
    ]
    assert [Path(n.path) for n in result.networks] == [
        swept.folder / "unet-scratch-w2-s32.onnx", swept.folder / "unet-scratch-w4-s32.onnx", model,
    ]  # fmt: skip
    split = read_dataset(swept.config.data).split("test")
    for network, row in zip(result.networks, result.measured.models, strict=True):
        assert row == result.measurement(network)
        assert row.failure is None
        assert row.accuracy is not None
        expected = evaluate(Predictor(network.path, threads=1), split, size=(64, 64))
        assert row.accuracy.size == (64, 64)
        assert row.accuracy.iou == pytest.approx(expected.soft.per_image["iou"].mean, abs=1e-6)
    assert result.warnings == ()
    assert read_sweep(swept.folder / "sweep.json") == result


def test_all_files_are_scored_on_the_masks_and_categories_of_the_sweep(
    phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[MeasurementSettings] = []
    monkeypatch.setattr("bench.sweep.run._train", lambda *_: SimpleNamespace(path="a.onnx"))
    monkeypatch.setattr(
        "bench.sweep.run._measure", lambda _, settings, *rest: seen.append(settings)
    )
    config = SweepConfig(
        str(phantom), ("scratch",), (2,), (32,), masks="boxes", categories=("bright",),
        score_size=64,
    )  # fmt: skip
    run_sweep(config, (), BRIEF, tmp_path, cache=tmp_path, result_file=tmp_path / "sweep.json")
    (settings,) = seen
    assert settings.scoring == Scoring(
        str(phantom), masks="boxes", size=(64, 64), categories=("bright",)
    )
    assert replace(settings, scoring=None) == BRIEF


def test_gains_are_paired_differences_from_each_width_to_the_next(swept: Swept) -> None:
    result = swept.result
    (gain,) = result.gains
    narrow, wide, given = result.measured.models
    assert (gain.arch, gain.size, gain.width, gain.next_width) == ("scratch", (32, 32), 2, 4)
    assert narrow.accuracy is not None
    assert wide.accuracy is not None
    assert given.accuracy is not None
    each = np.subtract(wide.accuracy.per_image_iou, narrow.accuracy.per_image_iou)
    assert gain.iou.value == pytest.approx(each.mean())
    assert gain.iou.value == pytest.approx(wide.accuracy.iou - narrow.accuracy.iou)
    assert each.min() <= gain.iou.low <= gain.iou.value <= gain.iou.high <= each.max()
    pair = next(
        r for r in result.measured.rankings if (r.first, r.second) == (narrow.path, wide.path)
    )
    ends = (1 / pair.high, 1 / pair.ratio, 1 / pair.low)
    assert (gain.latency.low, gain.latency.value, gain.latency.high) == pytest.approx(ends)
    # Two of the widest have as many parameters and MACs: the first is taken.
    assert result.largest == wide.path
    assert set(result.to_largest) == {narrow.path, given.path}
    assert result.to_largest[narrow.path].value == pytest.approx(-each.mean())
    assert result.to_largest[narrow.path].low == pytest.approx(-gain.iou.high)


def test_the_pages_say_what_the_result_says(swept: Swept, tmp_path: Path) -> None:
    written = write_sweep_pages(swept.result, tmp_path)
    assert [path.name for path in written] == ["sweep.html", "sweep.md", "sweep.png"]
    page, text = (path.read_text() for path in written[:2])
    assert external_references(page) == []
    assert handlers(page) == []
    (sentence,) = sentences(swept.result)
    found = swept.result.gains[0].iou
    assert "width 2 to 4 " in sentence
    assert f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]" in sentence
    table = as_table(*sweep_table(swept.result))
    assert [str(row[0]) for row in table.rows] == [
        "scratch-w2-s32", "scratch-w4-s32", "tiny (given)",
    ]  # fmt: skip
    for content in (page, text):
        assert sentence in content
        assert "compared at 64x64" in content
        for row in table.rows:
            assert all(str(cell) in content for cell in row)
    assert "\n\n\n" not in text


@pytest.mark.parametrize(
    ("iou", "latency", "words"),
    [
        ((0.02, 0.01, 0.03), (2.0, 1.9, 2.1),
         "changes soft IoU by +0.020 [+0.010, +0.030] at 2.00 [1.90, 2.10] times the latency."),
        ((-0.02, -0.03, -0.01), (2.0, 0.9, 2.1),
         "changes soft IoU by -0.020 [-0.030, -0.010] at 2.00 [0.90, 2.10] times the latency "
         "(not significant)."),
        ((0.02, -0.01, 0.03), (math.nan,) * 3,
         "changes soft IoU by +0.020 [-0.010, +0.030] (not significant)."),
        ((math.nan,) * 3, (2.0, 1.9, 2.1), "was not measured."),
    ],
)  # fmt: skip
def test_a_sentence_says_what_is_bought_and_what_it_costs(
    swept: Swept,
    iou: tuple[float, float, float],
    latency: tuple[float, float, float],
    words: str,
) -> None:
    gain = Gain("scratch", (32, 64), 4, 8, Interval(*iou), Interval(*latency))
    (found,) = sentences(replace(swept.result, gains=(gain,)))
    assert found == f"scratch at 32x64: width 4 to 8 {words}"


def test_what_is_done_is_taken_and_what_changed_is_exported_again(
    swept: Swept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(swept.folder, tmp_path / "out")
    files = sorted(folder.glob("*.onnx"))
    before = [file.stat().st_mtime_ns for file in files]
    exported: list[Path] = []

    def note(request: ExportRequest, **_: object) -> None:
        exported.append(request.target)
        shutil.copy(swept.folder / request.target.name, request.target)

    def up_to_measuring() -> None:
        told: list[str] = []
        with pytest.raises(StoppedError, match="stopped at: measure the networks"):
            swept.again(
                folder,
                on_progress=lambda p: told.append(f"{p.phase}: {p.note}"),
                stop=lambda: any(label.startswith("measure") for label in told),
            )

    monkeypatch.setattr("bench.sweep.run.export_checkpoints", note)
    trained = "bench.sweep.run.measure_cost"
    monkeypatch.setattr(trained, lambda _: pytest.fail("nothing is left to train"))
    up_to_measuring()
    assert exported == []
    assert [file.stat().st_mtime_ns for file in files] == before
    # Another network's file in its place, and a damaged one.
    first, second = files
    shutil.copy(second, first)
    second.write_bytes(second.read_bytes()[:-100])
    for file in files:
        assert not is_exported(file.with_suffix("") / "best.pt", file)
    up_to_measuring()
    assert exported == files
    for file in files:
        assert is_exported(file.with_suffix("") / "best.pt", file)


def test_a_run_with_other_settings_is_refused_before_anything_is_trained(
    swept: Swept, tmp_path: Path
) -> None:
    folder = shutil.copytree(swept.folder, tmp_path / "out")
    (folder / "unet-scratch-w2-s32" / "last.pt").unlink()
    with pytest.raises(ConfigError, match=r"w4-s32/last.pt: expected a run with seed 1, found one"):
        swept.again(folder, replace(swept.config, seed=1))
    assert not (folder / "unet-scratch-w2-s32" / "last.pt").exists()
    assert not (folder / "again.json").exists()


def test_stopped_while_measuring_it_leaves_what_was_measured(swept: Swept, tmp_path: Path) -> None:
    folder = shutil.copytree(swept.folder, tmp_path / "out")
    told: list[str] = []
    with pytest.raises(StoppedError, match="measure the networks; the same command resumes"):
        swept.again(
            folder,
            on_progress=lambda p: told.append(f"{p.phase}: {p.note}"),
            stop=lambda: any("memory: " in label and "w2-s32.onnx" in label for label in told),
        )
    assert not (folder / "again.json").exists()
    content = json.loads((folder / "again-interrupted.json").read_text())
    assert content["measured"]["complete"] is False
    result = read_sweep(folder / "again-interrupted.json")
    assert all(model.size == (32, 32) for model in result.measured.models)
    assert result.measured.models[0].latency_ms is None
    assert "was not measured" in sentences(result)[0]
    assert len(write_sweep_pages(result, tmp_path / "pages")) == 2, "there is nothing to draw"


def test_stopped_while_training_it_leaves_a_checkpoint(swept: Swept, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    told: list[str] = []
    with pytest.raises(StoppedError, match=r"stopped after step . of 2 in epoch 1"):
        swept.again(
            folder,
            on_progress=lambda p: told.append(f"{p.phase}: {p.note}"),
            stop=lambda: any("epoch 1" in label for label in told),
        )
    assert (folder / "unet-scratch-w2-s32" / "last.pt").is_file()
    assert not (folder / "unet-scratch-w4-s32").exists()


def test_a_file_that_cannot_be_run_is_refused_first(swept: Swept, tmp_path: Path) -> None:
    text = tmp_path / "text.onnx"
    text.write_text("not ONNX")
    with pytest.raises(ModelError, match=r"text\.onnx: expected"):
        swept.again(tmp_path / "out", models=(text,))
    assert not (tmp_path / "out").exists()


def test_the_command_resumes_after_a_signal_and_writes_its_pages(
    swept: Swept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = shutil.copytree(swept.folder, tmp_path / "out")
    shutil.rmtree(out / "unet-scratch-w2-s32")
    arguments = [
        "sweep", "--data", swept.config.data, "--width", 2, "--size", 32, "--epochs", 1,
        "--batch-size", 8, "--threads", 1, "--max-seconds", 0.1, "--cache", swept.cache,
        "--out", out,
    ]  # fmt: skip
    train = vars(bench.training)["train_network"]

    def signalled(*arguments: object, **settings: object) -> object:
        os.kill(os.getpid(), signal.SIGTERM)
        return train(*arguments, **settings)

    with monkeypatch.context() as patch:
        patch.setattr("bench.training.train_network", signalled)
        stopped = CliRunner().invoke(seg_bench, [str(argument) for argument in arguments])
    assert stopped.exit_code == 143, stopped.output
    assert "it can be resumed" in stopped.output
    found = CliRunner().invoke(seg_bench, [str(argument) for argument in arguments])
    assert found.exit_code == 0, found.output
    assert "Estimated time on this machine" in found.output
    result = read_sweep(out / "sweep.json")
    (row,) = result.measured.models
    assert row.path == str(out / "unet-scratch-w2-s32.onnx")
    assert row.digest == swept.result.measured.models[0].digest, "training was not the same"
    assert row.accuracy is not None
    assert row.accuracy.size == (32, 32)
    assert f"{row.accuracy.iou:.3f} [" in found.output
    for name in ("sweep.html", "sweep.md", "sweep.png", "sweep.json"):
        assert str(out / name) in found.output
        assert (out / name).is_file()
