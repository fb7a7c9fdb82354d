"""Parts of an evaluation: whatever their number and order, they add up to the same bytes."""

import json
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from runtime.core.errors import DataError
from runtime.scoring.clinical_config import ClinicalConfig
from runtime.scoring.evaluation import NetworkSums
from runtime.scoring.evaluation_run import EvaluationRun, EvaluationSettings, open_evaluation
from runtime.scoring.merging import merge
from runtime.scoring.part_files import read_part, write_part
from runtime.scoring.parts import Part, shard_range
from runtime.scoring.results import EvaluationReport, write_report, write_samples
from runtime.scoring.sample_table import SampleTable
from tests.support.model_builder import ModelBuilder

CHOSEN = EvaluationSettings(size=(32, 32), skip_unreadable=True, threads=1)
CLINICAL = ClinicalConfig(surface=True, lesions=True)


@pytest.fixture(scope="module", params=["groups", "patients"])
def run(
    request: pytest.FixtureRequest,
    build_onnx: ModelBuilder,
    phantom: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> EvaluationRun:
    """Two networks, baselines and four images, one unreadable and one without foreground.

    With groups, or with patients and all the scores that clinicians ask for.
    """
    folder = tmp_path_factory.mktemp("parts")
    data = Path(shutil.copytree(phantom, folder / "data"))
    coco = data / "test" / "_annotations.coco.json"
    content = json.loads(coco.read_text())
    content["annotations"] = content["annotations"][1:]
    of_patients = request.param == "patients"
    for index, image in enumerate(content["images"]):
        image["patient_id" if of_patients else "group"] = f"P{index // 2}" if of_patients else index
    coco.write_text(json.dumps(content))
    (data / "test" / content["images"][2]["file_name"]).write_bytes(b"no image")
    models = [build_onnx(folder / name) for name in ("a.onnx", "b.onnx")]
    chosen = replace(CHOSEN, clinical=CLINICAL if of_patients else CHOSEN.clinical)
    return open_evaluation(models, data, chosen)


def written(report: EvaluationReport, folder: Path) -> tuple[bytes, bytes]:
    write_report(folder / "report.json", report)
    write_samples(folder / "report.csv", report)
    return (folder / "report.json").read_bytes(), (folder / "report.csv").read_bytes()


@pytest.fixture(scope="module")
def whole(run: EvaluationRun, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    return written(merge([("all", run.part(0, 4))]), tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def files(run: EvaluationRun, tmp_path_factory: pytest.TempPathFactory) -> dict[Any, Path]:
    """The file of the part of each range of images."""
    folder = tmp_path_factory.mktemp("files")
    ranges = [(start, stop) for start in range(5) for stop in range(start, 5)]
    paths = {(start, stop): folder / f"{start}-{stop}.json" for start, stop in ranges}
    for bounds, path in paths.items():
        write_part(path, run.part(*bounds))
    return paths


def merged(*paths: Path) -> EvaluationReport:
    return merge((path.name, read_part(path)) for path in paths)


@given(st.lists(st.integers(0, 4), max_size=4), st.randoms())
@settings(deadline=None, max_examples=15)
def test_any_cuts_in_any_order_give_the_same_bytes(
    files: dict[Any, Path],
    whole: tuple[bytes, bytes],
    tmp_path_factory: pytest.TempPathFactory,
    cuts: list[int],
    random: Any,
) -> None:
    parts = [files[bounds] for bounds in pairwise(sorted([0, 4, *cuts]))]
    random.shuffle(parts)
    assert written(merged(*parts), tmp_path_factory.mktemp("merged")) == whole


def test_a_part_is_read_back_unchanged(run: EvaluationRun, files: dict[Any, Path]) -> None:
    for bounds in ((0, 4), (1, 3), (2, 3), (2, 2)):
        assert str(read_part(files[bounds])) == str(run.part(*bounds))


@given(st.integers(1, 12), st.integers(0, 30))
def test_shards_are_neighbors_of_nearly_equal_length(shards: int, images: int) -> None:
    ranges = [shard_range(shard, shards, images) for shard in range(1, shards + 1)]
    assert ranges[0][0] == 0
    assert ranges[-1][1] == images
    assert all(first[1] == second[0] for first, second in pairwise(ranges))
    assert {stop - start for start, stop in ranges} <= {images // shards, -(-images // shards)}


def test_merging_takes_few_bytes_for_each_image(run: EvaluationRun, tmp_path: Path) -> None:
    def peak(images: int) -> int:
        tracemalloc.start()
        write_report(tmp_path / "report.json", merge(alike_parts(run, images)))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(100)  # what is imported by and by
    row = 8 * run.part(0, 1).networks[0].samples.columns.number
    # Besides its numbers, which medians and intervals need, an image has a name.
    assert (peak(1100) - peak(100)) / 1000 < 2 * row + 400


def alike_parts(run: EvaluationRun, images: int) -> Iterator[tuple[str, Part]]:
    """Yield parts of 100 images and one network, for so many images in all."""
    lone, heading = run.part(0, 1), run.heading()
    heading = replace(heading, models=heading.models[:1])

    def repeated(sums: NetworkSums, start: int) -> NetworkSums:
        table = sums.samples
        files = [f"{table.files[0]}-{start + n}" for n in range(100)]
        rows = table.rows.repeat(100, axis=0)
        table = SampleTable(table.columns, files, [None] * 100, [None] * 100, rows)
        return replace(sums, samples=table)

    for start in range(0, images, 100):
        yield (
            str(start),
            replace(
                lone,
                images=images,
                start=start,
                stop=start + 100,
                networks=(repeated(lone.networks[0], start),),
                baselines=(),
                groups=(0,) * 100,
                heading=None if start else heading,
            ),
        )


def test_missing_images_are_stated(files: dict[Any, Path]) -> None:
    with pytest.raises(DataError, match=r"^the parts lack the images 1 to 1, 3 to 4 of 4$"):
        merged(files[1, 2])
    with pytest.raises(DataError, match=r"^the parts lack the images 4 to 4 of 4$"):
        merged(files[1, 3], files[0, 1])
    with pytest.raises(DataError, match="no parts"):
        merged()


def test_images_in_two_parts_are_stated(files: dict[Any, Path]) -> None:
    with pytest.raises(DataError, match=r"^1-4.json: has images 2 to 3 that are in 0-3.json too$"):
        merged(files[0, 3], files[1, 4])
    with pytest.raises(DataError, match=r"^0-4.json: is given twice$"):
        merged(files[0, 4], files[0, 4])


def test_a_part_of_another_evaluation_is_refused_with_the_difference(run: EvaluationRun) -> None:
    first, second = run.part(0, 2), run.part(2, 4)
    name = "the version of onnxruntime"
    other = replace(second, identity={**second.identity, name: "1.0"})
    known = first.identity[name]
    with pytest.raises(
        DataError, match=rf"^b: is a part of another evaluation than a: {name} is 1.0, not {known}$"
    ):
        merge([("a", first), ("b", other)])


def test_a_part_with_sums_of_other_networks_is_refused(run: EvaluationRun) -> None:
    first, second = run.part(0, 2), run.part(2, 4)
    fewer = replace(second, baselines=second.baselines[1:])
    with pytest.raises(DataError, match=r"^b: has sums of other networks or baselines than other"):
        merge([("a", first), ("b", fewer)])


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda s: replace(s, masks="boxes"), "--masks"),
        (lambda s: replace(s, size=(64, 64)), "--size"),
        (lambda s: replace(s, resize="fit"), "--resize"),
        (lambda s: replace(s, baselines=False), "--baselines"),
        (lambda s: replace(s, categories=("bright",)), "--category"),
        (lambda s: replace(s, intensity=4095), "--intensity"),
        (lambda s: replace(s, split="valid"), "--split"),
        (lambda s: replace(s, clinical=ClinicalConfig(surface=True, tolerance=3.0)), "--surface"),
        (
            lambda s: replace(s, clinical=ClinicalConfig(lesions=True, smallest_lesion=1.0)),
            "--lesions",
        ),
    ],
)
def test_a_setting_that_changes_scores_belongs_to_the_identity(
    run: EvaluationRun, change: Callable[[EvaluationSettings], EvaluationSettings], key: str
) -> None:
    models = [predictor.file.path for predictor in run.scorer.predictors]
    chosen = replace(CHOSEN, clinical=run.scorer.clinical)
    other = open_evaluation(models, run.dataset.root, change(chosen))
    assert other.identity[key] != run.identity[key]
    same = open_evaluation(models, run.dataset.root, replace(chosen, batch_size=2, threads=2))
    assert same.identity == run.identity


def test_versions_networks_and_coco_files_belong_to_the_identity(run: EvaluationRun) -> None:
    models = [str(predictor.file.path) for predictor in run.scorer.predictors]
    coco = [str(run.dataset.splits[name].annotation_file) for name in ("test", "train")]
    keys = {
        *(f"the version of {n}" for n in ("seg-toolkit", "numpy", "onnxruntime", "pillow")),
        *(f"the digest of {path}" for path in models),
        *(f"the SHA-256 of {path}" for path in coco),
    }
    assert keys <= run.identity.keys()


def test_a_split_without_readable_images_is_an_error_of_the_whole(run: EvaluationRun) -> None:
    part = run.part(2, 3)
    lone = replace(part, images=1, start=0, stop=1, heading=run.heading())
    assert part.networks[0].samples == ()
    with pytest.raises(DataError, match=r"coco.json: none of the images can be read; the first: "):
        merge([("lone", lone)])


def edited(path: Path, to: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    content = json.loads(path.read_text())
    change(content)
    to.write_text(json.dumps(content))
    return to


@pytest.mark.parametrize(
    "change",
    [
        lambda part: part.update(start=3),
        lambda part: part.update(stop=9),
        lambda part: part.update(stop=3),
        lambda part: part["files"].pop(),
        lambda part: part["groups"].pop(),
        lambda part: part["patients"].pop(),
        lambda part: part.update(networks=[]),
        lambda part: part.update(heading=None),
        lambda part: part["heading"]["models"].pop(),
        lambda part: part["networks"][0]["rows"].pop(),
        lambda part: part["networks"][0]["rows"][0].pop(),
        lambda part: part["networks"][1]["rows"][0].__setitem__(0, 0.0),
        lambda part: part["networks"][1]["rows"][0].__setitem__(2, -1.0),
        lambda part: part["networks"][1]["rows"][0].__setitem__(2, None),
        lambda part: part["networks"][0]["size"].pop(),
        lambda part: part["baselines"][0]["calibration"].pop(),
        lambda part: part["baselines"][0]["calibration"].__setitem__(0, 1 << 70),
        lambda part: part["baselines"][0]["calibration"].__setitem__(45, 1 << 1200),
        lambda part: part["baselines"][0]["calibration"].__setitem__(45, -1),
    ],
)
def test_numbers_that_do_not_fit_together_are_refused(
    files: dict[Any, Path], tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    damaged = edited(files[0, 2], tmp_path / "part.json", change)
    with pytest.raises(DataError, match=r"part.json: the numbers of this part do not fit together"):
        read_part(damaged)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda part: part.update(part_version=1), "expected a part of version 2, as seg-eval"),
        (lambda part: part.pop("files"), "missing field 'files'"),
        (lambda part: part.update(start="0"), r"start: expected int, found str '0'"),
    ],
)
def test_another_file_is_no_part(
    files: dict[Any, Path],
    tmp_path: Path,
    change: Callable[[dict[str, Any]], object],
    message: str,
) -> None:
    with pytest.raises(DataError, match=message):
        read_part(edited(files[0, 2], tmp_path / "part.json", change))
