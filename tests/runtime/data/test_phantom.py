"""The embedded data set."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runtime.core.errors import ConfigError, OutputError
from runtime.core.progress import Progress
from runtime.data.coco import Dataset, read_dataset
from runtime.data.phantom import PhantomConfig, ensure_phantom, make_phantom
from runtime.data.samples import Sample

SMALL = PhantomConfig(train=2, valid=1, test=1, slices=2, size=48)


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def annotations(folder: Path, split: str) -> list[dict[str, Any]]:
    content = json.loads((folder / split / "_annotations.coco.json").read_text())
    found: list[dict[str, Any]] = content["annotations"]
    return found


def samples(data: Dataset) -> list[Sample]:
    return [sample for name in data.splits for sample in data.split(name).samples]


def person(sample: Sample) -> str:
    return sample.file_name.split("_")[0]


def contour(sample: Sample) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array(sample.annotations[0].segmentation[0]).reshape(-1, 2)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (contents(make_phantom(tmp_path / name, SMALL)) for name in "ab")
    assert first == second
    images = (SMALL.train + SMALL.valid + SMALL.test) * SMALL.slices
    assert len(first) == images + 3


def test_another_seed_gives_other_images(tmp_path: Path) -> None:
    other = PhantomConfig(train=2, valid=1, test=1, slices=2, size=48, seed=1)
    first = contents(make_phantom(tmp_path / "a", SMALL))
    second = contents(make_phantom(tmp_path / "b", other))
    assert first.keys() == second.keys()
    assert not set(first.values()) & set(second.values())


def test_a_data_set_with_more_people_keeps_those_it_has_in_common(tmp_path: Path) -> None:
    more = PhantomConfig(train=3, valid=1, test=1, slices=2, size=48)
    first = contents(make_phantom(tmp_path / "a", SMALL) / "train")
    second = contents(make_phantom(tmp_path / "b", more) / "train")
    images = {name for name in first if name.endswith(".png")}
    assert {name: second[name] for name in images} == {name: first[name] for name in images}


def test_it_has_as_many_people_slices_and_pixels_as_asked(phantom_data: Dataset) -> None:
    people = {n: {person(x) for x in phantom_data.split(n).samples} for n in phantom_data.splits}
    assert {name: len(found) for name, found in people.items()} == {
        "train": 8,
        "valid": 2,
        "test": 2,
    }
    for name in people:
        assert len(phantom_data.split(name).samples) == 2 * len(people[name])
    for sample in samples(phantom_data):
        with Image.open(sample.path) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "L", (64, 64))
        assert (sample.width, sample.height) == (64, 64)


def test_different_people_are_in_different_splits(phantom: Path, phantom_data: Dataset) -> None:
    train, valid, test = (
        {person(sample) for sample in phantom_data.split(name).samples}
        for name in ("train", "valid", "test")
    )
    assert not train & valid
    assert not train & test
    assert not valid & test
    images = [digest for name, digest in contents(phantom).items() if name.endswith(".png")]
    assert len(set(images)) == len(images)


def test_a_persons_slices_are_more_alike_than_those_of_others(phantom_data: Dataset) -> None:
    found = phantom_data.split("train").samples
    pixels = [np.asarray(Image.open(s.path), np.float64) for s in found]

    def distance(same: bool) -> float:
        pairs = [
            float(np.abs(pixels[i] - pixels[j]).mean())
            for i in range(len(found))
            for j in range(i)
            if (person(found[i]) == person(found[j])) is same
        ]
        return sum(pairs) / len(pairs)

    assert distance(same=True) < distance(same=False)


def test_every_image_has_one_lesion_inside_the_image(phantom_data: Dataset) -> None:
    for sample in samples(phantom_data):
        assert len(sample.annotations) == 1
        points = contour(sample)
        assert (points >= 0).all()
        assert (points <= 64).all()


def test_the_box_is_tight_around_the_contour(phantom_data: Dataset) -> None:
    hundredth = 0.01 + 1e-9  # numbers are written with two decimals
    for sample in samples(phantom_data):
        x, y, width, height = sample.annotations[0].box
        low, high = contour(sample).min(axis=0), contour(sample).max(axis=0)
        np.testing.assert_allclose(low, [x, y], rtol=0, atol=hundredth)
        np.testing.assert_allclose(high, [x + width, y + height], rtol=0, atol=2 * hundredth)


def test_the_stated_area_is_that_of_the_contour(phantom: Path) -> None:
    for entry in annotations(phantom, "train"):
        x, y = np.array(entry["segmentation"][0]).reshape(-1, 2).T.tolist()
        around = zip(x, y, x[1:] + x[:1], y[1:] + y[:1], strict=True)
        area = abs(sum(a * d - c * b for a, b, c, d in around)) / 2
        _, _, width, height = entry["bbox"]
        assert entry["area"] == pytest.approx(area, abs=0.02 * (width + height))
        assert entry["area"] <= width * height


def test_the_segmentation_mask_is_inside_the_box_mask(phantom_data: Dataset) -> None:
    for sample in samples(phantom_data):
        box, lesion = sample.mask((64, 64), "boxes"), sample.mask((64, 64), "segmentation")
        assert lesion.any()
        assert not (lesion & ~box & 1).any(), sample.file_name
        assert lesion.sum() < box.sum()


def test_the_categories_say_whether_a_lesion_is_bright_or_dark(phantom: Path) -> None:
    data = read_dataset(phantom)
    means: dict[int, list[float]] = {1: [], 2: []}
    categories = {a["id"]: a["category_id"] for a in annotations(phantom, "train")}
    for sample in data.split("train").samples:
        mask = sample.mask((64, 64), "segmentation") > 0
        pixels = np.asarray(Image.open(sample.path))
        means[categories[sample.annotations[0].id]].append(float(pixels[mask].mean()))
    assert means[1]
    assert means[2]
    assert min(means[1]) > max(means[2])


def test_progress_is_reported_up_to_every_image(tmp_path: Path) -> None:
    calls: list[Progress] = []
    make_phantom(tmp_path / "a", SMALL, on_progress=calls.append)
    assert calls == [Progress(done, 8) for done in (2, 4, 6, 8)]


# Where it is written


def test_a_folder_with_something_in_it_is_refused_and_kept(tmp_path: Path) -> None:
    target = tmp_path / "mine"
    target.mkdir()
    (target / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match="mine"):
        make_phantom(target, SMALL)
    assert contents(tmp_path).keys() == {"mine/thesis.tex"}


def test_a_file_in_its_place_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("content")
    with pytest.raises(OutputError, match="mine"):
        make_phantom(tmp_path / "mine", SMALL)
    assert (tmp_path / "mine").read_text() == "content"


def test_an_empty_folder_is_filled_and_missing_parents_are_made(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "a" / "b"):
        assert make_phantom(folder, SMALL) == folder
        assert list(read_dataset(folder).splits) == ["train", "valid", "test"]


def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        folder = make_phantom(tmp_path / "a", SMALL)
    finally:
        os.umask(before)
    for path in (folder, *folder.rglob("*")):
        assert path.stat().st_mode & 0o044 == 0o044, path


@pytest.mark.parametrize("there", [False, True], ids=["no folder", "an empty folder"])
@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_nothing_behind(
    tmp_path: Path, there: bool, fault: type[BaseException]
) -> None:
    target = tmp_path / "phantom"
    if there:
        target.mkdir()

    def stop(progress: Progress) -> None:
        if progress.fraction > 0.5:
            raise fault

    with pytest.raises(fault):
        make_phantom(target, SMALL, on_progress=stop)
    assert list(tmp_path.rglob("*")) == ([target] if there else [])


@pytest.mark.parametrize("name", ["file/phantom", "x" * 300], ids=["under a file", "too long"])
def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("content")
    with pytest.raises(OutputError):
        make_phantom(tmp_path / name, SMALL)
    assert contents(tmp_path).keys() == {"file"}


def test_ensure_makes_it_once_and_leaves_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Path] = []

    def record(folder: Path, *_: object, **__: object) -> Path:
        calls.append(folder)
        folder.mkdir()
        return folder

    monkeypatch.setattr("runtime.data.phantom.make_phantom", record)
    for _ in range(2):
        assert ensure_phantom(tmp_path / "phantom") == tmp_path / "phantom"
    assert calls == [tmp_path / "phantom"]


@pytest.mark.parametrize(
    "values",
    [
        {"train": 0},
        {"valid": 0},
        {"test": -1},
        {"slices": 0},
        {"size": 31},
        {"size": 2049},
        {"seed": -1},
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(values: dict[str, int]) -> None:
    (name,) = values
    with pytest.raises(ConfigError, match=f"^{name}: expected .*, found {values[name]}$"):
        PhantomConfig(**values)


def test_one_slice_and_the_smallest_size_can_be_drawn(tmp_path: Path) -> None:
    folder = make_phantom(tmp_path / "a", PhantomConfig(1, 1, 1, slices=1, size=32))
    data = read_dataset(folder)
    assert [len(split.samples) for split in data.splits.values()] == [1, 1, 1]
    assert all(split.defects == () for split in data.splits.values())
