"""`seg-data` as a user meets it: checks, audits, splits and the phantom set."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from runtime.cli.data import main
from runtime.core.schema import to_dict
from runtime.data.audit import audit_dataset, summarize
from runtime.data.coco import Dataset, read_dataset
from runtime.data.grouped_split import split_by_group
from runtime.data.phantom import PhantomConfig, make_phantom
from runtime.data.similarity import LinkRule
from tests.runtime.data.test_audit import make_data, mixed, noise
from tests.support.self_contained import external_references


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="seg-data")


def test_an_audit_prints_its_figures_and_writes_its_page(
    phantom: Path, phantom_data: Dataset, tmp_path: Path
) -> None:
    pytest.importorskip("jinja2")
    page, file = tmp_path / "audit.html", tmp_path / "audit.json"
    result = call("audit", phantom, "--out", page, "--json", file, "--correlation", 0.9)
    assert result.exit_code == 0, result.output
    content = json.loads(file.read_text())
    assert content["rule"]["correlation"] == 0.9
    assert f"{content['links']} links in" in result.output
    assert "The patient of every image was recognized: 12." in result.output
    assert external_references(page.read_text()) == []
    assert content["images"] == len(audit_dataset(phantom_data).images)


def test_a_split_is_written_and_read(phantom: Path, tmp_path: Path) -> None:
    result = call("split", phantom, tmp_path / "out", "--seed", 3)
    assert result.exit_code == 0, result.output
    assert set(read_dataset(tmp_path / "out").splits) == {"train", "valid", "test"}
    assert "The patient of every image was recognized: 12." in result.output
    again = call("split", phantom, tmp_path / "out")
    assert again.exit_code == 2
    assert "already exists and is not an empty folder" in again.output


@pytest.mark.parametrize("command", ["audit", "split"])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--correlation", "2"], "correlation: expected more than 0 and at most 1"),
        (["--slice-correlation", "0"], "slice_correlation: expected more than 0 and at most 1"),
        (["--slices", "-1"], "slices: expected 0 or more"),
    ],
)
def test_an_impossible_rule_ends_with_one_sentence(
    phantom: Path, tmp_path: Path, command: str, options: list[str], words: str
) -> None:
    target = [tmp_path / "out"] if command == "split" else ["--out", tmp_path / "out"]
    result = call(command, phantom, *target, *options)
    assert result.exit_code == 2, result.output
    assert words in result.output
    assert not (tmp_path / "out").exists()


def test_the_loosest_rule_leaves_nothing_to_split(phantom: Path, tmp_path: Path) -> None:
    data = shutil.copytree(phantom, tmp_path / "data")
    for split in data.iterdir():  # no patient is stated: those of two are never linked
        file = split / "_annotations.coco.json"
        file.write_text(file.read_text().replace("person", "scan"))
        for image in split.glob("person*"):
            image.rename(image.with_name(image.name.replace("person", "scan")))
    result = call("split", data, tmp_path / "out", "--correlation", "0.01")
    assert result.exit_code == 2
    assert "1 group of similar images" in result.output
    assert not (tmp_path / "out").exists()


def test_options_of_the_phantom_set_reach_it(tmp_path: Path) -> None:
    options = {"size": 40, "train": 3, "valid": 2, "test": 1, "slices": 2, "seed": 7}
    given = [text for name, value in options.items() for text in (f"--{name}", value)]
    result = call("phantom", tmp_path / "a", *given)
    assert result.exit_code == 0, result.output
    assert result.output.endswith(f"12 images of 40x40 in {tmp_path / 'a'}\n")
    make_phantom(tmp_path / "b", PhantomConfig(**options))
    files = {p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file()}
    assert len(files) == 12 + 3
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        ("--correlation", 0.9, LinkRule(correlation=0.9)),
        ("--slices", 0, LinkRule(slices=0)),
        ("--slice-correlation", 0.95, LinkRule(slice_correlation=0.95)),
    ],
)
def test_options_of_the_rule_reach_the_audit(
    phantom: Path, phantom_data: Dataset, tmp_path: Path, option: str, value: float, rule: LinkRule
) -> None:
    pytest.importorskip("jinja2")
    page, file = tmp_path / "audit.html", tmp_path / "audit.json"
    result = call("audit", phantom, "--out", page, "--json", file, option, value)
    assert result.exit_code == 0, result.output
    expected = summarize(audit_dataset(phantom_data, rule))
    assert json.loads(file.read_text()) == json.loads(json.dumps(to_dict(expected)))


@pytest.mark.parametrize(
    ("options", "seed", "rule"),
    [
        (["--seed", 5], 5, LinkRule()),
        (["--slices", 0], 0, LinkRule(slices=0)),
        (["--correlation", 0.99], 0, LinkRule(correlation=0.99)),
        (["--slice-correlation", 0.99], 0, LinkRule(slice_correlation=0.99)),
    ],
)
def test_options_of_a_split_reach_it(
    phantom: Path,
    phantom_data: Dataset,
    tmp_path: Path,
    options: list[object],
    seed: int,
    rule: LinkRule,
) -> None:
    assert call("split", phantom, tmp_path / "out", *options).exit_code == 0
    audit = audit_dataset(phantom_data, rule)
    expected = split_by_group(phantom_data, audit, seed=seed)
    owners = {
        sample.path.resolve(): name
        for name, part in read_dataset(tmp_path / "out").splits.items()
        for sample in part.samples
    }
    assert [owners[image.sample.path.resolve()] for image in audit.images] == list(
        expected.assigned
    )


def test_defects_of_one_kind_are_counted_with_three_examples(phantom: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(phantom, folder)
    file = folder / "train" / "_annotations.coco.json"
    content = json.loads(file.read_text())
    for annotation in content["annotations"][:5]:
        annotation["bbox"], annotation["segmentation"] = [-900, -900, 3, 3], []
    file.write_text(json.dumps(content))
    shown = CliRunner().invoke(main, ["check", str(folder)]).output
    counts = [line for line in shown.splitlines() if " times: " in line]
    assert counts
    assert all(line.startswith("  5 times: ") for line in counts)
    assert shown.count("    and 2 more, all in --json") == len(counts)


def test_what_was_written_is_audited_by_the_rule_it_was_split_by(tmp_path: Path) -> None:
    """Two images that correlate by 0.98 are alike by default, and not to this rule."""
    alike = mixed(noise(0), noise(1), 0.83)
    data = make_data(tmp_path / "d", {"train": {"a.png": noise(0)}, "test": {"b.png": alike}})
    assert len(audit_dataset(data).crossing()) == 1
    result = call("split", tmp_path / "d", tmp_path / "out", "--correlation", 0.995)
    assert result.exit_code == 0, result.output
    assert "in what was written: 0 " in result.output


@pytest.mark.parametrize(("box", "code"), [([0, 0, 8, 80], 0), (None, 1)])
def test_a_check_fails_only_where_the_set_cannot_be_used(
    phantom: Path, tmp_path: Path, box: list[int] | None, code: int
) -> None:
    """A box that is clipped is a defect that every command can live with; a lost image is none."""
    data = Path(shutil.copytree(phantom, tmp_path / "data"))
    coco = data / "train" / "_annotations.coco.json"
    content = json.loads(coco.read_text())
    if box is None:
        (data / "train" / content["images"][0]["file_name"]).unlink()
    else:
        content["annotations"][0].update(bbox=box)
        coco.write_text(json.dumps(content))
    result = call("check", data)
    assert "1 defect:" in result.output
    assert result.exit_code == code, result.output
