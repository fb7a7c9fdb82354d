"""A study from data to result: every step once, and nothing in it that was not measured."""

import csv
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import bench.study.network_steps
from bench.schedule import Schedule
from bench.study.commands import step_by_step
from bench.study.config import StudyConfig
from bench.study.prepare import prepare
from bench.study.result import StudyResult, read_study
from bench.study.run import run_study
from bench.study.step_cache import StepCache
from runtime.core.errors import ConfigError, DataError, OutputError, StoppedError
from runtime.core.lock import locked
from runtime.core.progress import Progress
from runtime.core.schema import to_dict
from runtime.data.coco import read_dataset
from runtime.data.manifest import manifest_sha256
from runtime.metrics import STUDY_METRICS
from runtime.model.predictor import Predictor
from runtime.model.providers import ProviderRequest
from runtime.scoring.bootstrap import Bootstrap
from runtime.scoring.evaluation import evaluate
from tests.runtime.data.test_audit import make_data
from tests.support.study_fixture import Finished

pytestmark = pytest.mark.usefixtures("quick_exports", "no_curves")


def again(study: Finished, folder: Path | None = None, **changes: object) -> StudyResult:
    config = replace(study.config, **changes)  # type: ignore[arg-type]
    return run_study(config, folder or study.folder, cache=study.cache, command="seg-study")[0]


def test_every_network_is_there_on_both_splits(finished: Finished) -> None:
    assert [split.kind for split in finished.result.splits] == ["original", "grouped"]
    for split in finished.result.splits:
        assert [n.network for n in split.networks] == list(finished.config.networks)
        assert len(split.evidence) == 3
        assert len(split.baselines) == 3


def test_scores_are_those_of_the_files_on_the_data(finished: Finished) -> None:
    for split in finished.result.splits:
        data = finished.prepared.datasets[split.kind]
        assert split.data_sha256 == manifest_sha256(data.splits.values())
        for network in split.networks:
            assert [run.seed for run in network.runs] == [0, 1]
            means = []
            for run in network.runs:
                path = finished.folder / run.file.path
                assert path.parent == finished.folder / split.kind / f"seed-{run.seed}"
                assert path.stat().st_size == run.file.file_bytes
                onnx.checker.check_model(onnx.load(path), full_check=True)
                found = evaluate(Predictor(path, threads=1), data.split("test"))
                assert found.samples == run.evaluation.samples
                means.append(found.soft.per_image)
            for metric in STUDY_METRICS:
                mean = np.mean([each[metric].mean for each in means])
                assert network.means[metric].value == pytest.approx(mean)


def test_every_training_has_a_seed_of_its_own_and_gives_another_network(finished: Finished) -> None:
    for split in finished.result.splits:
        for network in split.networks:
            assert len({run.file.digest for run in network.runs}) == 2
            for run in network.runs:
                if run.trained is not None:
                    settings = json.loads(
                        (finished.folder / run.trained.checkpoint)
                        .with_name("config.json")
                        .read_text()
                    )
                    assert settings["seed"] == run.seed


def test_the_variance_of_each_network_is_that_of_its_trainings(finished: Finished) -> None:
    split = finished.result.splits[1]
    (row,) = (v for v in split.variance if (v.name, v.reading) == ("scratch", "at 0.5"))
    means = [e.thresholded.per_image["iou"].mean for e in split.network("scratch").evaluations]
    assert row.by_training == pytest.approx(means)
    assert row.parts.between == pytest.approx(np.std(means, ddof=1))
    assert np.isnan(row.parts.training_share)  # which needs three
    names = [v.name for v in split.variance if v.reading == "soft"]
    assert names[:3] == list(finished.config.networks)
    assert len(names) == 3 + 3


def test_the_ensemble_lies_between_its_members_on_every_pixel_sum(finished: Finished) -> None:
    for split in finished.result.splits:
        for seed in range(2):
            first, second, mean = (n.evaluations[seed].samples for n in split.networks)
            for one, other, both in zip(first, second, mean, strict=True):
                expected = (one.soft.predicted + other.soft.predicted) / 2
                assert both.soft.predicted == pytest.approx(expected, rel=1e-5)


def test_the_leak_is_the_difference_of_the_two_splits(finished: Finished) -> None:
    original, grouped = finished.result.splits
    names = [leak.network for leak in finished.result.leaks]
    assert names == [*finished.config.networks, *(baseline.name for baseline in original.baselines)]
    for leak, one, other in zip(
        finished.result.leaks, original.networks, grouped.networks, strict=False
    ):
        assert leak.original == pytest.approx(one.means["iou"].value)
        assert leak.grouped == pytest.approx(other.means["iou"].value)
        assert leak.lost.value == pytest.approx(leak.original - leak.grouped)


def test_the_result_is_read_back_from_its_file(finished: Finished) -> None:
    path = finished.folder / "study.json"
    json.loads(path.read_text(), parse_constant=pytest.fail)  # NaN is no JSON
    assert str(to_dict(read_study(path))) == str(to_dict(finished.result))


def test_no_path_of_the_machine_is_in_what_may_be_published(finished: Finished) -> None:
    for name in ("study.json", "report.html", "report.md", "groups.csv"):
        text = (finished.folder / name).read_text()
        for path in (finished.folder, finished.cache, Path(finished.config.data)):
            assert str(path.parent) not in text, name


def test_the_groups_file_states_where_every_image_went(finished: Finished) -> None:
    with (finished.folder / "groups.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    grouped = read_dataset(finished.folder / "phantom-grouped")
    where = {Path(s.file_name).name: n for n, p in grouped.splits.items() for s in p.samples}
    assert {row["file"]: row["grouped split"] for row in rows} == where


def test_a_study_of_the_original_split_needs_no_groups(tmp_path: Path) -> None:
    """Images of a fixed camera are all alike: they are one group, which nothing can split."""
    same = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    parts = {"train": "abc", "valid": "d", "test": "e"}
    make_data(tmp_path / "data", {n: {f"{x}.png": same for x in xs} for n, xs in parts.items()})
    config = StudyConfig(str(tmp_path / "data"), preset="demo", splits=("original",))
    prepared = prepare(config, tmp_path, StepCache(tmp_path / "steps"), Schedule(None, bool))
    assert list(prepared.datasets) == ["original"]
    assert set(prepared.groups.values()) == {0}
    assert prepared.grouped_audit is None
    with (tmp_path / "groups.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert [row["original split"] for row in rows] == ["train"] * 3 + ["valid", "test"]
    both = replace(config, splits=("original", "grouped"))
    with pytest.raises(DataError, match="only 1 group of similar images"):
        prepare(both, tmp_path, StepCache(tmp_path / "steps"), Schedule(None, bool))


@contextmanager
def no_work(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("this step was done before")

    with monkeypatch.context() as patch:
        for name in (
            "train_step",
            "export_checkpoints",
            "evaluate",
            "evaluate_baselines",
            "measure_latency",
            "measure_cost",
        ):
            patch.setattr(bench.study.network_steps, name, refuse)
        for name in ("explore", "audit_dataset", "write_split"):
            patch.setattr(bench.study.prepare, name, refuse)
        yield


def test_nothing_is_done_twice(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    with no_work(monkeypatch):
        assert str(to_dict(again(finished))) == str(to_dict(finished.result))


def test_every_interval_of_images_draws_whole_groups(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []

    class Noted(Bootstrap):
        def __init__(self, images: int, groups: Any = None, **options: Any) -> None:
            drawn.append(groups)
            super().__init__(images, groups, **options)

    monkeypatch.setattr("bench.study.run.Bootstrap", Noted)
    with no_work(monkeypatch):
        again(finished)
    assert set(drawn) == {split.groups for split in finished.result.splits}


def test_a_network_that_is_asked_for_later_is_all_that_is_trained(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished.folder, tmp_path / "out")
    trained = []
    train = vars(bench.study.network_steps)["train_step"]

    def spy(config, *args, **kwargs):  # type: ignore[no-untyped-def]
        trained.append(config.name)
        return train(config, *args, **kwargs)

    monkeypatch.setattr(bench.study.network_steps, "train_step", spy)
    networks = ("scratch", "scratch-bce-dice")
    again(finished, tmp_path / "out", networks=networks, splits=("original",), seeds=1)
    assert trained == ["unet-scratch-w4-bce-dice"]


def test_scores_and_times_are_of_the_provider_that_was_asked_for(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished.folder, tmp_path / "out")
    opened: list[ProviderRequest] = []

    class Spy(Predictor):
        def __init__(self, path: Path, *, provider: ProviderRequest, **settings: Any) -> None:
            opened.append(provider)
            super().__init__(path, provider=provider, **settings)

    monkeypatch.setattr(bench.study.network_steps, "Predictor", Spy)
    monkeypatch.setattr(bench.study.network_steps, "train_step", pytest.fail)
    request = ProviderRequest("cpu", "float32")  # another request than the default, same engine
    result = again(finished, tmp_path / "out", splits=("original",), provider=request)
    networks = result.splits[0].networks
    assert opened == [request] * (sum(len(n.runs) for n in networks) + len(networks))
    for network, same in zip(networks, finished.result.splits[0].networks, strict=True):
        for run, other in zip(network.runs, same.runs, strict=True):
            assert run.evaluation.samples == other.evaluation.samples
            assert run.engine == other.engine
            assert run.engine is not None
            assert (run.engine.provider, run.engine.arithmetic) == ("cpu", "float32")
    assert result.commands[-1].endswith(" --arithmetic float32")


def test_a_file_that_is_gone_is_made_again(finished: Finished, tmp_path: Path) -> None:
    shutil.copytree(finished.folder, tmp_path / "out")
    path = tmp_path / "out" / "grouped" / "seed-1" / "unet-scratch-w4.onnx"
    before = path.read_bytes()
    path.unlink()
    again(finished, tmp_path / "out")
    assert len(path.read_bytes()) == len(before)


def test_an_interrupted_study_resumes_and_finds_the_same(
    finished: Finished, tmp_path: Path
) -> None:
    """Stopped in the middle of each training run and each evaluation, as by Ctrl-C."""
    seen: set[str] = set()
    stopping: list[str] = []

    def on_progress(state: Progress) -> None:
        step = state.phase.split(",")[0]
        training = step.startswith("train")
        inside = "epoch 2" in state.note if training else step.startswith("evaluate ")
        if inside and step not in seen:
            seen.add(step)
            stopping.append(step)

    # The ensemble, the grouped split and a second seed would add time and no other step.
    config = replace(
        finished.config, networks=finished.config.trained, splits=("original",), seeds=1
    )
    stops: list[str] = []
    while True:
        try:
            result, _ = run_study(
                config, tmp_path / "out", cache=tmp_path / "cache", command="seg-study",
                on_progress=on_progress, stop=lambda: bool(stopping),
            )  # fmt: skip
            break
        except StoppedError as stop:
            stops.append(str(stop))
            stopping.clear()
    trained, scored = stops[:2], stops[2:4]
    assert all("stopped after step 1 of 4 in epoch 2" in message for message in trained)
    assert [message.split(",")[0] for message in scored] == [
        "stopped at: evaluate scratch", "stopped at: evaluate scratch-augment-dice"
    ]  # fmt: skip
    (split,) = result.splits
    for network, same in zip(split.networks, finished.result.splits[0].networks, strict=False):
        assert network.first.evaluation.samples == same.first.evaluation.samples
        assert network.first.file.digest == same.first.file.digest


def test_a_folder_serves_one_study_at_a_time(finished: Finished) -> None:
    with (
        locked(finished.folder),
        pytest.raises(OutputError, match="another run is using this folder"),
    ):
        again(finished)


def test_a_folder_holds_a_study_of_one_data_set(
    finished: Finished, phantom: Path, tmp_path: Path
) -> None:
    shutil.copytree(phantom, tmp_path / "phantom")
    coco = tmp_path / "phantom" / "test" / "_annotations.coco.json"
    content = json.loads(coco.read_text())
    content["annotations"][0]["bbox"][2] += 1
    coco.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="holds a study of other data"):
        again(finished, data=str(tmp_path / "phantom"))


def test_other_settings_do_not_overwrite_a_run(finished: Finished) -> None:
    with pytest.raises(ConfigError, match="batch_size"):
        again(finished, changes={**finished.config.changes, "batch_size": 2})


def test_progress_runs_to_the_estimated_end(finished: Finished) -> None:
    done = [step.done for step in finished.steps]
    assert done == sorted(done)
    assert finished.steps[-1].total > 0.0
    assert done[-1] <= finished.steps[-1].total * (1.0 + 1e-9)


def test_a_damaged_step_is_named(finished: Finished, tmp_path: Path) -> None:
    shutil.copytree(finished.folder, tmp_path / "out")
    (tmp_path / "out" / "steps" / "latency.json").write_text("[]")
    with pytest.raises(DataError, match=r"latency\.json"):
        again(finished, tmp_path / "out")


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("scratch", {"arch": "scratch", "augment": False, "loss": "bce"}),
        ("resnet50", {"arch": "resnet50", "freeze_encoder": True, "encoder_weights": "imagenet"}),
        ("resnet50-unfreeze10", {"unfreeze_epoch": 10}),
        ("swin-augment-bce-dice", {"arch": "swin", "augment": True, "loss": "bce+dice"}),
        ("resnet34-augment-unfreeze7-dice", {"unfreeze_epoch": 7, "loss": "dice"}),
    ],
)
def test_a_network_is_named_in_the_progress(network: str, expected: dict[str, object]) -> None:
    training = StudyConfig(data="d", networks=(network,)).training(network, "d")
    assert {name: getattr(training, name) for name in expected} == expected
    assert (
        training.name
        == f"unet-{network.replace('-', '-w64-', 1) if '-' in network else network + '-w64'}"
    )
    assert (training.width, training.size, training.epochs) == (64, 256, 25)


def test_networks_are_compiled_as_the_study_is_and_its_commands_say_so() -> None:
    config = StudyConfig(data="d", compile=True)
    assert all(config.training(network, "d").compile for network in config.trained)
    trained = [line for line in step_by_step(config, "d") if line.startswith("train-unet ")]
    assert len(trained) == 2
    assert all(" --compile " in line for line in trained)
    assert "--compile" not in " ".join(step_by_step(replace(config, compile=False), "d"))


def test_the_commands_train_every_seed_into_a_folder_of_its_own() -> None:
    config = StudyConfig(data="d", networks=("scratch", "scratch-dice", "ensemble"), seeds=2)
    commands = step_by_step(config, "d")
    trained = [line for line in commands if line.startswith("train-unet ")]
    folders = [line.split(" --out ")[1] for line in trained]
    assert folders == [
        f"artifacts/seed-{seed}/unet-scratch-w64{end}" for seed in (0, 1) for end in ("", "-dice")
    ]
    assert ["--seed 1" in line for line in trained] == [False, False, True, True]
    exported = [line.split()[1:] for line in commands if line.startswith("export-onnx artifacts")]
    assert exported == [folders[:2], folders[2:]]
    assert sum("--ensemble" in line for line in commands) == 2
    assert commands[-1].count(".onnx") == 6


def test_runs_are_ordered_by_seed_so_that_a_whole_study_is_there_early() -> None:
    config = StudyConfig(data="d", seeds=2, seed=3)
    assert [(run.seed, run.kind, run.network) for run in config.runs] == [
        (seed, kind, network)
        for seed in (3, 4)
        for kind in ("original", "grouped")
        for network in ("scratch", "resnet50")
    ]


def test_the_arithmetic_is_that_of_the_machine_and_is_recorded(finished: Finished) -> None:
    assert finished.config.precision == "auto"
    assert finished.result.config.precision in ("float32", "bf16")
    for split in finished.result.splits:
        for network in split.networks:
            for history in network.histories:
                assert {row.arithmetic for row in history} == {finished.result.config.precision}


@pytest.mark.parametrize(
    "settings",
    [
        {"networks": ("unet",)},
        {"networks": ("scratch-unfreeze5",)},
        {"networks": ("scratch", "scratch")},
        {"networks": ()},
        {"networks": ("scratch", "ensemble")},
        {"networks": ("resnet50-dice-augment",)},
        {"encoder_weights": {"vgg": "none"}},
        {"changes": {"size": 100}},
        {"splits": ()},
        {"seeds": 0},
    ],
)
def test_an_impossible_study_is_refused_before_it_starts(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        StudyConfig(data="d", **settings)  # type: ignore[arg-type]
