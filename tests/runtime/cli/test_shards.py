"""`seg-eval --shard` and `seg-eval merge`, against the command that scores everything at once."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from runtime.cli.evaluate import main
from tests.support.model_builder import ModelBuilder


def seg_eval(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def options(
    build_onnx: ModelBuilder, phantom: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[object, ...]:
    model = build_onnx(tmp_path_factory.mktemp("model") / "m.onnx")
    return model, "--data", phantom, "--size", 32, "--threads", 1


def test_merged_shards_print_and_write_what_one_command_does(
    options: tuple[object, ...], tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    whole = seg_eval(*options, "--json", one / "r.json", "--csv", one / "r.csv")
    parts = [tmp_path / f"part{shard}.json" for shard in (1, 2, 3)]
    for shard, part in enumerate(parts, 1):
        found = seg_eval(*options, "--shard", f"{shard}/3", "--json", part)
        assert found.output.splitlines()[-1] == str(part), found.output
    assert "2 images of 4, from image 3 on" in found.output
    merged = seg_eval("merge", *parts[::-1], "--json", two / "r.json", "--csv", two / "r.csv")
    assert merged.exit_code == 0, merged.output
    assert merged.stdout == whole.stdout.replace(str(one), str(two))
    for name in ("r.json", "r.csv"):
        assert (two / name).read_bytes() == (one / name).read_bytes()


def test_missing_doubled_and_foreign_parts_end_the_merge(
    options: tuple[object, ...], tmp_path: Path
) -> None:
    first, foreign = tmp_path / "first.json", tmp_path / "foreign.json"
    seg_eval(*options, "--shard", "1/2", "--json", first)
    seg_eval(*options, "--no-baselines", "--shard", "2/2", "--json", foreign)
    result = tmp_path / "r.json"
    for parts, message in (
        ([first], "Error: the parts lack the images 3 to 4 of 4\n"),
        ([first, first], f"Error: {first}: is given twice\n"),
        (
            [first, foreign],
            f"Error: {foreign}: is a part of another evaluation than {first}: --baselines is off, "
            "not on\n",
        ),
        ([options[0]], f"Error: {options[0]}: "),
    ):
        found = seg_eval("merge", *parts, "--json", result)
        assert found.exit_code == 2
        assert found.output.startswith(message)
        assert not result.exists()


@pytest.mark.parametrize("shard", ["0/3", "4/3", "3", "a/b", "1/", "-1/3", "1/0"])
def test_a_shard_is_one_of_so_many(options: tuple[object, ...], shard: str) -> None:
    found = seg_eval(*options, "--shard", shard, "--json", "part.json")
    assert found.exit_code == 2
    assert f"expected K/N with K from 1 to N, found '{shard}'" in found.output


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--shard", "1/2"], "--shard needs --json, the file of the part"),
        (
            ["--shard", "1/2", "--json", "a", "--csv", "b"],
            "--csv cannot be used with --shard; give it to `seg-eval merge`",
        ),
        (
            ["--shard", "1/2", "--json", "a", "--scheduler", "local:1"],
            "--shard cannot be used with --scheduler, which shards by itself",
        ),
        (["--shard-size", "9"], "--shard-size needs --scheduler"),
        (["--parts", "parts"], "--parts needs --scheduler"),
    ],
)
def test_options_that_do_not_go_together(
    options: tuple[object, ...], given: list[str], message: str
) -> None:
    found = seg_eval(*options, *given)
    assert (found.exit_code, found.output.splitlines()[-1]) == (2, f"Error: {message}")


def test_a_merge_replaces_none_of_its_parts(options: tuple[object, ...], tmp_path: Path) -> None:
    part = tmp_path / "part.json"
    seg_eval(*options, "--shard", "1/1", "--json", part)
    found = seg_eval("merge", part, "--json", part)
    assert found.exit_code == 2
    assert "would replace the input" in found.output
