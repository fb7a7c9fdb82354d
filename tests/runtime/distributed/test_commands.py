"""Commands with `--scheduler`, against the same commands in one process."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

pytest.importorskip("distributed")
from runtime.cli import evaluate, predict
from tests.support.model_builder import ModelBuilder
from tests.support.thread_cluster import thread_cluster


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    with thread_cluster(2) as cluster:
        yield cluster.scheduler_address


@pytest.fixture(scope="module")
def model(build_onnx: ModelBuilder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_onnx(tmp_path_factory.mktemp("model") / "m.onnx")


def seg_eval(*arguments: object) -> Result:
    return CliRunner().invoke(evaluate.main, [str(argument) for argument in arguments])


def seg_predict(*arguments: object) -> Result:
    return CliRunner().invoke(predict.main, [str(argument) for argument in arguments])


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_scores_are_printed_and_written_as_in_one_process(
    scheduler: str, model: Path, phantom: Path, tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    options = model, "--data", phantom, "--size", 32, "--threads", 1
    whole = seg_eval(*options, "--json", one / "r.json", "--csv", one / "r.csv")
    cluster = "--scheduler", scheduler, "--parts", tmp_path / "parts", "--shard-size", 3
    found = seg_eval(*options, *cluster, "--json", two / "r.json", "--csv", two / "r.csv")
    assert found.exit_code == 0, found.output
    assert found.stdout == whole.stdout.replace(str(one), str(two))
    for name in ("r.json", "r.csv"):
        assert (two / name).read_bytes() == (one / name).read_bytes()


def test_no_result_replaces_a_file_of_the_data_set(
    scheduler: str, model: Path, phantom: Path, tmp_path: Path
) -> None:
    file = next((phantom / "test").glob("*.json"))
    before = file.read_bytes()
    cluster = "--scheduler", scheduler, "--parts", tmp_path / "parts"
    found = seg_eval(model, "--data", phantom, "--size", 32, *cluster, "--json", file)
    assert (found.exit_code, found.output) == (
        2,
        f"Error: {file}: would replace the input {file}\n",
    )
    assert file.read_bytes() == before


def test_predictions_are_printed_and_written_as_in_one_process(
    scheduler: str, model: Path, phantom: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(phantom / "test", tmp_path / "data"))
    damaged = data / "damaged.png"
    damaged.write_bytes(b"no image")
    one, two = tmp_path / "one", tmp_path / "two"
    options = model, data, "--size", 32, "--threshold", 0.5, "--on-error", "skip", "--threads", 1
    whole = seg_predict(*options, "--out", one)
    cluster = "--scheduler", scheduler, "--shard-size", 2
    found = seg_predict(*options, *cluster, "--out", two)
    assert found.exit_code == 0, found.output
    assert str(damaged) in found.stdout
    assert found.stdout == whole.stdout.replace(str(one), str(two))
    same = contents(one)
    for table in ("masks.csv", "masks.json"):
        same[table] = same[table].replace(str(one).encode(), str(two).encode())
    assert contents(two) == same


def test_an_image_that_cannot_be_read_ends_the_prediction(
    scheduler: str, model: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"no image")
    found = seg_predict(model, damaged, "--out", tmp_path / "out", "--scheduler", scheduler)
    alone = seg_predict(model, damaged, "--out", tmp_path / "out")
    assert (found.exit_code, found.output) == (2, alone.output)
