"""Outlines and lesions of whole volumes, against flood fills and all pairs of voxels."""

import itertools
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from runtime.cli.clinical_text import clinical_text
from runtime.cli.evaluate import main
from runtime.data.coco import read_dataset
from runtime.data.samples import Sample, VolumeSlice
from runtime.scoring.clinical import unit_of
from runtime.scoring.clinical_config import ClinicalConfig
from runtime.scoring.comparison import compare
from runtime.scoring.evaluation import Evaluation, score
from runtime.scoring.lesions import SIZES, LesionCounts, lesion_counts
from runtime.scoring.parts import uncut
from runtime.scoring.surface import SurfaceScores
from tests.support.model_builder import ModelBuilder

pytest.importorskip("scipy")

Voxel = tuple[int, ...]
Masks = NDArray[np.bool]
SHAPE = (4, 4, 3)
SIDES = (5.0, 0.5, 1.5)
BOTH = ClinicalConfig(surface=True, tolerance=2.0, lesions=True, smallest_lesion=0.0)
masks = arrays.arrays(bool, SHAPE)


def voxels(mask: Masks) -> set[Voxel]:
    return set(map(tuple, np.argwhere(mask).tolist()))


def components(mask: Masks) -> list[set[Voxel]]:
    """The components of voxels whose indices differ by at most 1 along each axis."""
    left, found = voxels(mask), []
    while left:
        stack = [left.pop()]
        found.append(set(stack))
        while stack:
            near = {
                v for v in left if max(abs(a - b) for a, b in zip(v, stack[-1], strict=True)) < 2
            }
            stack.pop()
            left -= near
            found[-1] |= near
            stack += near
    return found


def expected_lesions(predicted: Masks, target: Masks, smallest: float) -> LesionCounts:
    """The volume of a ball of diameter d is pi / 6 d^3."""

    def diameter(component: set[Voxel]) -> float:
        return math.cbrt(len(component) * math.prod(SIDES) * 6.0 / math.pi)

    def large(mask: Masks) -> list[set[Voxel]]:
        return [each for each in components(mask) if diameter(each) >= smallest]

    seen = set[Voxel]().union(*large(predicted))
    counts: dict[str, list[int]] = {kind: [0] * 6 for kind in ("found", "missed", "false")}
    for lesion in large(target):
        size = sum(diameter(lesion) >= limit for limit in SIZES)
        counts["found" if lesion & seen else "missed"][size] += 1
    for lesion in large(predicted):
        if not lesion & voxels(target):
            counts["false"][sum(diameter(lesion) >= limit for limit in SIZES)] += 1
    return LesionCounts(**{kind: tuple(numbers) for kind, numbers in counts.items()})


def distances(ones: Masks, others: Masks, numbers: list[int]) -> list[float]:
    """The distance of each outline voxel of one mask to the nearest of the other, in mm."""

    def edge(mask: Masks) -> list[NDArray[np.float64]]:
        inside = voxels(mask)
        inside = {(numbers[z], y, x) for z, y, x in inside}
        steps = [s for s in itertools.product((-1, 0, 1), repeat=3) if sum(map(abs, s)) == 1]
        return [
            np.array(voxel) * SIDES
            for voxel in inside
            if any(tuple(np.add(voxel, step).tolist()) not in inside for step in steps)
        ]

    there = edge(others)
    return [min(math.dist(one, other) for other in there) for one in edge(ones)]


@settings(deadline=None, max_examples=50)
@given(masks, masks, st.sampled_from([0.0, 2.0, 3.0]))
def test_lesions_are_those_of_a_flood_fill(
    predicted: Masks, target: Masks, smallest: float
) -> None:
    found = lesion_counts(predicted, target, pixel=SIDES, smallest=smallest)
    assert found == expected_lesions(predicted, target, smallest)


@settings(deadline=None, max_examples=50)
@given(masks, masks, st.sampled_from([[0, 1, 2, 3], [7, 8, 10, 11]]))
def test_surfaces_are_those_of_all_pairs_of_voxels(
    predicted: Masks, target: Masks, numbers: list[int]
) -> None:
    """With a gap, the slices before and behind it do not touch, and lie where they lie."""
    target[0, 0, 0] = predicted[-1, -1, -1] = True
    samples = slices(numbers)
    (*others, found) = score("m", SHAPE[1:], samples, outcomes(predicted, target), BOTH).samples
    assert found.surface is not None
    there, back = distances(predicted, target, numbers), distances(target, predicted, numbers)
    expected = max(np.percentile(there, 95), np.percentile(back, 95))
    assert found.surface.hd95 == pytest.approx(expected, rel=1e-12)
    near = [sum(d <= reach for d in (*there, *back)) for reach in (2.0, 2.0 + 1e-6)]
    total = len(there) + len(back)
    assert near[0] / total <= found.surface.nsd <= near[1] / total
    assert all(other.surface is not None and math.isnan(other.surface.nsd) for other in others)
    assert all(other.lesions is None for other in others)
    if numbers[-1] == 3:
        assert found.lesions == expected_lesions(predicted, target, 0.0)


def slices(numbers: list[int], volume: str = "head", spacing: float | None = 5.0) -> list[Sample]:
    """The slices of a volume, whose pixels at 4x3 have the sides of `SIDES`."""
    return [
        Sample(
            Path(f"{volume}{number}.png"),
            f"{volume}{number}.png",
            9,
            8,
            (),
            patient=volume,
            spacing=(0.25, 0.5),
            slice=VolumeSlice(volume, number, spacing),
        )
        for number in numbers
    ]


def outcomes(
    predicted: Masks, target: Masks
) -> list[tuple[NDArray[np.float32], NDArray[np.uint8]]]:
    pairs = zip(predicted, target, strict=True)
    return [(one.astype(np.float32), other.astype(np.uint8)) for one, other in pairs]


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """A volume that is missed, one with a lesion in three slices that is found, and a picture.

    Their images are mixed: the slices of each volume are in another order.
    """
    target = np.zeros(SHAPE, bool)
    target[:3, 1, 1] = True
    predicted = np.zeros(SHAPE, bool)
    predicted[0, 1, 1] = predicted[3, 3, 2] = True
    missed = list(zip(slices([3, 1, 0, 2], "a"), outcomes(target & False, target), strict=True))
    found = list(zip(slices([0, 1, 2, 3], "b"), outcomes(predicted, target), strict=True))
    picture = Sample(Path("p.png"), "p.png", 9, 8, (), patient="p", spacing=(0.25, 0.5))
    alone = [(picture, outcomes(target[:1], target[:1])[0])]
    mixed = [pair for both in zip(missed, reversed(found), strict=True) for pair in both] + alone
    # The slices of the found volume come backwards, those of the other by their list.
    listed, results = zip(*mixed, strict=True)
    return score("m", SHAPE[1:], listed, results, BOTH)


def test_a_missed_volume_has_the_worst_values_and_a_lesion_counts_once(
    evaluation: Evaluation,
) -> None:
    surface, lesions = evaluation.surface, evaluation.lesions
    assert surface is not None
    assert lesions is not None
    assert (surface.unit, surface.of, lesions.of) == ("mm", "image or volume", "image or volume")
    assert (surface.missed, surface.hd95.spread.images) == (1, 3)
    diagonal = math.hypot(4 * 5.0, 4 * 0.5, 3 * 1.5)
    rows = [sample.surface for sample in evaluation.samples if sample.surface is not None]
    assert max(rows, key=lambda row: np.nan_to_num(row.hd95)) == SurfaceScores(diagonal, 0.0)
    assert sum(lesions.counts.found) == 2
    assert sum(lesions.counts.false) == 1
    # Slices 3, 1 and 0 of the missed volume: one lesion of two slices, and one of a single slice.
    assert sum(lesions.counts.missed) == 2
    assert lesions.recall.value == 0.5
    assert lesions.false_per_image.value == pytest.approx(1 / 3)
    assert not math.isnan(surface.hd95.spread.mean)
    patients = evaluation.patients
    assert patients is not None
    assert [sum(p.lesions.missed) for p in patients.patients if p.lesions] == [2, 0, 0]
    assert patients.patients[0].surface == SurfaceScores(diagonal, 0.0)
    text = "\n".join(clinical_text([("m", evaluation)]))
    assert "(8 or 26 neighbors), of 0 mm or more" in text
    assert "over the images or volumes with foreground" in text


def test_differences_are_those_of_volumes(evaluation: Evaluation) -> None:
    difference = compare(evaluation, evaluation).find("hd95", "per volume at 0.5")
    assert (difference.images, difference.reference) == (3, difference.candidate)


def test_without_the_distance_of_slices_lengths_are_in_pixels() -> None:
    assert unit_of(slices([0, 1])) == "mm"
    assert unit_of(slices([0, 1], spacing=None)) == "px"


@given(st.lists(st.sampled_from(["a", "b", "c", None]), max_size=12), st.data())
def test_a_shard_never_cuts_a_volume(volumes: list[str | None], data: st.DataObject) -> None:
    images = [
        Sample(Path("a"), "a", 8, 8, (), slice=None if name is None else VolumeSlice(name, number))
        for number, name in enumerate(volumes)
    ]
    index = data.draw(st.integers(0, len(images)))
    place = uncut(images, index)
    possible = [n for n in range(index + 1) if not ({*volumes[:n]} & {*volumes[n:]} - {None})]
    assert place == max(possible)


@pytest.fixture(scope="module")
def stating(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phantom's test images as slices of two volumes."""
    folder = tmp_path_factory.mktemp("volumes") / "test"
    folder.mkdir()
    for path in (phantom / "test").glob("*.png"):
        shutil.copy(path, folder)
    content = json.loads((phantom / "test" / "_annotations.coco.json").read_text())
    for image in content["images"]:
        person, number = image["file_name"].removesuffix(".png").split("_slice")
        image |= {"spacing": [0.5, 0.25], "volume": person, "slice": int(number)}
        image["slice_spacing"] = 3.0
    (folder / "_annotations.coco.json").write_text(json.dumps(content))
    return folder.parent


def test_parts_of_volumes_merge_to_the_same_result(
    build_onnx: ModelBuilder, stating: Path, tmp_path: Path
) -> None:
    def run(*arguments: str) -> None:
        found = CliRunner().invoke(main, [*arguments])
        assert found.exit_code == 0, found.output

    network = str(build_onnx(tmp_path / "m.onnx"))
    common = [network, "--data", str(stating), "--surface", "--lesions", "--size", "32"]
    run(*common, "--json", str(tmp_path / "whole.json"))
    parts = [str(tmp_path / f"{number}.json") for number in (1, 2, 3)]
    for number, part in enumerate(parts, start=1):
        run(*common, "--shard", f"{number}/3", "--json", part)
    run("merge", *reversed(parts), "--json", str(tmp_path / "merged.json"))
    whole, merged = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("whole", "merged"))
    assert merged["models"] == whole["models"]
    assert whole["models"][0]["evaluation"]["lesions"]["of"] == "volume"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"slice": None}, None),
        ({"slice": -1}, None),
        ({"slice": 1e30}, None),
        ({"slice": "1"}, None),
        ({"volume": 7}, None),
        ({"slice_spacing": -1}, VolumeSlice("person010", 0)),
        ({"slice_spacing": 1e300}, VolumeSlice("person010", 0)),
        ({"slice": 3.0, "slice_spacing": 2}, VolumeSlice("person010", 3, 2.0)),
    ],
)
def test_a_slice_without_its_number_is_a_picture(
    stating: Path, tmp_path: Path, entry: dict[str, object], expected: VolumeSlice | None
) -> None:
    split = read_dataset(stating).split("test")
    shutil.copytree(stating / "test", tmp_path / "test")
    content = json.loads(split.annotation_file.read_text())
    content["images"][0] |= entry
    (tmp_path / "test" / "_annotations.coco.json").write_text(json.dumps(content))
    found = read_dataset(tmp_path).split("test")
    assert [sample.slice for sample in found.samples][:2] == [
        expected,
        VolumeSlice("person010", 1, 3.0),
    ]
    told = "without a usable number of the slice" in " ".join(map(str, found.defects))
    assert told == (expected is None)
