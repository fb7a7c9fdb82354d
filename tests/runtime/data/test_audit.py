"""The leak audit, against all pairs one by one and against what is known of the real data."""

import csv
import json
import shutil
from dataclasses import fields
from itertools import combinations
from pathlib import Path

import click
import networkx
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import runtime.data.similarity
from runtime.cli.data import main
from runtime.core.errors import ConfigError, DataError
from runtime.data.audit import audit_dataset, summarize
from runtime.data.coco import Dataset, read_dataset
from runtime.data.image_names import slice_number
from runtime.data.images import load_scan
from runtime.data.similarity import LinkRule
from runtime.report.audit_page import audit_page


def make_data(folder: Path, splits: dict[str, dict[str, np.ndarray]]) -> Dataset:
    """Write a data set of named gray images, each with one box."""
    for name, images in splits.items():
        (folder / name).mkdir(parents=True)
        entries, boxes = [], []
        for index, (file, pixels) in enumerate(images.items()):
            Image.fromarray(pixels).save(folder / name / file)
            height, width = pixels.shape
            entries.append({"id": index, "file_name": file, "width": width, "height": height})
            box = [2, 2, 4 + index % 5, 4]
            boxes.append({"id": index, "image_id": index, "category_id": 1, "bbox": box})
        content = {"images": entries, "annotations": boxes, "categories": [{"id": 1, "name": "t"}]}
        (folder / name / "_annotations.coco.json").write_text(json.dumps(content))
    return read_dataset(folder)


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (48, 48), np.uint8)


def mixed(one: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    return np.rint(share * one + (1 - share) * other).astype(np.uint8)


def correlation(one: Path, other: Path) -> float:
    first, second = (load_scan(p, (32, 32)).pixels[..., 0].ravel() for p in (one, other))
    return float(np.corrcoef(first, second)[0, 1])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("2369_jpg.rf.8b8afa9d2c.jpg", ("", 2369)),
        ("train/2369_jpg.rf.8b8afa9d2c.jpg", ("", 2369)),
        ("images/valid/7.png", ("", 7)),
        ("patient3/7.png", ("patient3/", 7)),
        ("person01_slice3.png", ("person01_slice", 3)),
        ("TCGA_CS_4941_19960909_12.tif", ("TCGA_CS_4941_19960909_", 12)),
        ("007.png", ("", 7)),
        ("brain.png", ("brain", None)),
        ("12", ("", 12)),
        ("slice4b.png", ("slice", 4)),
    ],
)
def test_a_slice_number_is_the_last_number_of_the_name(
    name: str, expected: tuple[str, int | None]
) -> None:
    assert slice_number(name) == expected


@pytest.mark.parametrize("block", [3, 1024])
def test_links_and_groups_are_those_of_all_pairs_and_networkx(
    tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime.data.similarity, "_BLOCK", block)
    rng = np.random.default_rng(1)
    images = [noise(seed) for seed in range(6)]
    images += [
        mixed(images[i % 6], noise(50 + i), float(rng.uniform(0.5, 0.95))) for i in range(14)
    ]
    names = [f"p{i % 2}_{i // 2}.png" for i in range(20)]
    placed = {
        split: {names[i]: images[i] for i in range(20) if i % 3 == part}
        for part, split in enumerate(("train", "valid", "test"))
    }
    rule = LinkRule(correlation=0.9, slices=2, slice_correlation=0.4)
    audit = audit_dataset(make_data(tmp_path / "data", placed), rule)

    expected = set()
    for one, other in combinations(range(20), 2):
        first, second = (audit.images[i].sample for i in (one, other))
        value = correlation(first.path, second.path)
        (a, m), (b, n) = (
            i.removesuffix(".png").split("_") for i in (first.file_name, second.file_name)
        )
        near = a == b and abs(int(m) - int(n)) <= 2
        if value >= 0.9 or (near and value >= 0.4):
            expected.add((one, other))
    assert {(link.first, link.second) for link in audit.links} == expected
    assert len(expected) > 5
    for link in audit.links:
        paths = (audit.images[i].sample.path for i in (link.first, link.second))
        assert link.correlation == pytest.approx(correlation(*paths), abs=1e-5)

    graph = networkx.Graph()
    graph.add_nodes_from(range(20))
    graph.add_edges_from(expected)
    found: dict[int, set[int]] = {}
    for index, image in enumerate(audit.images):
        found.setdefault(image.group, set()).add(index)
    components = {frozenset(c) for c in networkx.connected_components(graph)}
    assert {frozenset(group) for group in found.values()} == components
    assert audit.groups == len(components)
    sizes = [len(found[number]) for number in sorted(found)]
    assert sizes == sorted(sizes, reverse=True)


def test_exposure_counts_what_another_split_knows(tmp_path: Path) -> None:
    same = noise(0)
    data = make_data(
        tmp_path / "data",
        {
            "train": {"a_1.png": same, "b_7.png": noise(1)},
            "test": {"c_1.png": same, "b_8.png": noise(2), "b_20.png": noise(3)},
        },
    )
    audit = audit_dataset(data)
    first, second = audit.exposures
    assert (first.split, first.other) == ("train", "test")
    assert (first.images, first.linked, first.grouped, first.next_slices) == (2, 1, 1, 1)
    assert (second.images, second.linked, second.grouped, second.next_slices) == (3, 1, 1, 1)
    (link,) = audit.crossing()
    assert link.correlation == pytest.approx(1.0, abs=1e-6)
    assert link.slices_apart is None
    summary = summarize(audit)
    assert (summary.links, summary.crossing, summary.groups, summary.largest) == (1, 1, 4, 2)
    assert [pair.other_file for pair in summary.pairs] == ["c_1.png"]


def test_an_image_of_one_gray_is_like_no_other(tmp_path: Path) -> None:
    flat = np.full((48, 48), 90, np.uint8)
    data = make_data(tmp_path / "data", {"train": {"a.png": flat}, "test": {"b.png": flat}})
    assert audit_dataset(data).links == ()


def test_too_many_links_are_refused_before_memory_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime.data.similarity, "MAX_LINKS", 5)
    same = {f"{letter}.png": noise(0) for letter in "abcde"}
    with pytest.raises(DataError, match="more than 5 pairs"):
        audit_dataset(make_data(tmp_path / "data", {"train": same}))


@pytest.mark.parametrize(
    "setting", [{"correlation": 0.0}, {"slice_correlation": 1.5}, {"slices": -1}]
)
def test_an_impossible_rule_is_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting))):
        LinkRule(**setting)  # type: ignore[arg-type]


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", {"train": {"a.png": noise(0)}, "test": {"b.png": noise(1)}})
    shutil.move(tmp_path / "data" / "test" / "b.png", tmp_path / "c.png")
    with pytest.raises(DataError, match=r"b\.png"):
        audit_dataset(data)


def test_links_come_the_most_similar_first(tmp_path: Path) -> None:
    base = noise(0)
    shares = (0.8, 0.95, 0.85, 1.0, 0.9)
    images = {f"{i}_x.png": mixed(base, noise(9 + i), share) for i, share in enumerate(shares)}
    links = audit_dataset(
        make_data(tmp_path / "data", {"train": images}), LinkRule(correlation=0.5)
    ).links
    found = [link.correlation for link in links]
    assert len(found) == 10
    assert found == sorted(found, reverse=True)
    assert (links[0].first, links[0].second) == (1, 3)


def test_pairs_are_the_strongest_the_weakest_and_the_nearest_to_the_limit(tmp_path: Path) -> None:
    """Each kind shows others: no pair is shown as strongest and as weakest."""
    base = noise(0)
    shares = np.linspace(0.6, 0.98, 5)
    train = {"a.png": base}
    test = {f"b{i}_x.png": mixed(base, noise(9 + i), share) for i, share in enumerate(shares)}
    audit = audit_dataset(
        make_data(tmp_path / "data", {"train": train, "test": test}), LinkRule(correlation=0.5)
    )
    crossing = sorted((link.correlation for link in audit.crossing()), reverse=True)
    pairs = summarize(audit, pairs=3).pairs
    strongest, weakest = (
        [pair.correlation for pair in pairs if pair.kind == kind]
        for kind in ("strongest", "weakest")
    )
    assert strongest == crossing[:3]
    assert weakest == crossing[3:]


@pytest.mark.parametrize("split", ["train", "test"])
def test_without_a_link_between_splits_the_pairs_are_within_one(tmp_path: Path, split: str) -> None:
    splits = {"train": {"frame_1.png": noise(0), "frame_7.png": noise(0)}}
    splits.setdefault(split, {})["other_8.png"] = noise(1)
    data = make_data(tmp_path / "data", splits)
    summary = summarize(audit_dataset(data))
    (pair,) = summary.pairs
    assert (pair.split, pair.other_split, pair.kind) == ("train", "train", "strongest")
    assert {pair.file, pair.other_file} == {"frame_1.png", "frame_7.png"}
    page = audit_page(data, summary)
    assert "The most similar within a split</h2>" in page
    assert "two splits:" not in page
    assert page.count('<figure class="case') == 1


def test_a_link_between_splits_hides_those_within_one(tmp_path: Path) -> None:
    same = noise(0)
    splits = {"train": {"a.png": same, "b.png": same, "c.png": noise(1)}, "test": {"d.png": same}}
    data = make_data(tmp_path / "data", splits)
    summary = summarize(audit_dataset(data))
    assert [pair.other_split for pair in summary.pairs] == ["test", "test"]
    assert "within a split" not in audit_page(data, summary)


def test_a_next_slice_is_one_lower_or_one_higher(tmp_path: Path) -> None:
    train = {"a_1.png": noise(0), "a_5.png": noise(1), "b_9.png": noise(2)}
    test = {"a_2.png": noise(3), "a_4.png": noise(4), "a_9.png": noise(5), "b_7.png": noise(6)}
    audit = audit_dataset(make_data(tmp_path / "data", {"train": train, "test": test}))
    assert [exposure.next_slices for exposure in audit.exposures] == [2, 2]


@pytest.mark.parametrize("command", ["audit", "split"])
def test_the_help_of_the_commands_states_the_rule_s_own_defaults(command: str) -> None:
    options = {option.name: option for option in main.commands[command].params}
    for field in fields(LinkRule):
        option = options[field.name]
        assert isinstance(option, click.Option)
        assert f"[default: {field.default:g}]" in str(option.help)


@pytest.mark.parametrize(("apart", "linked"), [(1, True), (2, True), (3, False)])
def test_near_slices_are_up_to_two_apart(tmp_path: Path, apart: int, linked: bool) -> None:
    one, other = noise(0), mixed(noise(0), noise(1), 0.7)
    names = "a_10.png", f"a_{10 + apart}.png"
    data = make_data(tmp_path / "data", {"train": {names[0]: one, names[1]: other}})
    assert 0.8 < correlation(*(sample.path for sample in data.split("train").samples)) < 0.97
    assert bool(audit_dataset(data).links) is linked


@pytest.mark.parametrize(("share", "linked"), [(0.79, False), (0.81, True)])
def test_images_look_alike_from_a_correlation_of_0_97(
    tmp_path: Path, share: float, linked: bool
) -> None:
    images = {"a.png": noise(0), "b.png": mixed(noise(0), noise(1), share)}
    data = make_data(tmp_path / "data", {"train": images})
    found = correlation(*(sample.path for sample in data.split("train").samples))
    assert (0.97 < found < 0.975) if linked else (0.965 < found < 0.97)
    assert bool(audit_dataset(data).links) is linked


def test_a_group_of_more_images_has_a_lower_number(tmp_path: Path) -> None:
    images = {"a.png": noise(0), **{f"b{c}.png": noise(1) for c in "xy"}}
    images |= {f"c{c}.png": noise(2) for c in "xyz"}
    audit = audit_dataset(make_data(tmp_path / "data", {"train": images}))
    assert [image.group for image in audit.images] == [2, 1, 1, 0, 0, 0]


def test_the_near_slices_that_are_shown_are_those_at_the_limit(tmp_path: Path) -> None:
    base = noise(0)
    train = {f"s{i}_10.png": base for i in "abcd"}
    shares = (0.65, 0.7, 0.75, 0.8)
    test = {f"s{i}_11.png": mixed(base, noise(9 + n), shares[n]) for n, i in enumerate("abcd")}
    data = make_data(tmp_path / "data", {"train": train, "test": test})
    audit = audit_dataset(data, LinkRule(correlation=0.999, slice_correlation=0.5))
    near = sorted(link.correlation for link in audit.crossing())
    assert len(near) == 4
    shown = [p.correlation for p in summarize(audit, pairs=2).pairs if p.kind == "slices"]
    assert sorted(shown) == near[:2]


def test_the_csv_files_hold_every_image_and_every_link(phantom: Path, tmp_path: Path) -> None:
    out = tmp_path / "audit.csv"
    page = str(tmp_path / "page.html")
    ran = CliRunner().invoke(main, ["audit", str(phantom), "--csv", str(out), "--out", page])
    assert ran.exit_code == 0, ran.output
    found = audit_dataset(read_dataset(phantom))
    groups = list(csv.reader(out.read_text().splitlines()))
    assert groups[0] == ["split", "file", "group"]
    assert groups[1:] == [[i.split, i.sample.file_name, str(i.group)] for i in found.images]
    links = list(csv.DictReader((tmp_path / "audit-links.csv").read_text().splitlines()))
    assert len(links) == len(found.links) > 0
    for row, link in zip(links, found.links, strict=True):
        first, second = found.images[link.first], found.images[link.second]
        assert (row["file"], row["other_file"]) == (first.sample.file_name, second.sample.file_name)
        assert (row["split"], row["other_split"]) == (first.split, second.split)
        assert float(row["correlation"]) == pytest.approx(link.correlation, abs=1e-6)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["genius_0101.png", "genius_0102.png"], "No patient was recognized"),
        (["patient1_1.png", "genius_0102.png"], "was recognized for 1 of 2 images"),
        (["patient1_1.png", "patient2_1.png"], "of every image was recognized: 2."),
    ],
)
def test_the_audit_states_which_patients_it_recognized(
    tmp_path: Path, names: list[str], words: str
) -> None:
    images = {name: noise(seed) for seed, name in enumerate(names)}
    summary = summarize(audit_dataset(make_data(tmp_path / "data", {"train": images})))
    assert words in summary.on_patients
