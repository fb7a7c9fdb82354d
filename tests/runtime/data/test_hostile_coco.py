"""COCO files that ask for more than they hold, or for what is not theirs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runtime.core.errors import AnnotationError
from runtime.data import defects, images, segmentations
from runtime.data.audit import audit_dataset
from runtime.data.check import check_dataset
from runtime.data.coco import read_dataset
from runtime.data.grouped_split import split_by_group
from runtime.data.masks import mask_from_segmentations
from runtime.data.similarity import LinkRule
from runtime.data.split_files import write_split
from tests.support.memory_bound import bounded

SIDE = 64


def coco(folder: Path, **annotation: Any) -> dict[str, Any]:
    """A sound data set of one image and one annotation, with changes of that; return its file."""
    (folder / "train").mkdir()
    Image.new("L", (SIDE, SIDE)).save(folder / "train" / "a.png")
    sound = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40]}
    return {
        "categories": [{"id": 1, "name": "lesion"}],
        "images": [{"id": 1, "file_name": "a.png", "width": SIDE, "height": SIDE}],
        "annotations": [{**sound, **annotation}],
    }


def write_coco(folder: Path, content: object) -> Path:
    (folder / "train" / "_annotations.coco.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("way", ["..", "absolute", "link", "link to a folder"])
def test_a_file_name_that_leaves_the_folder(tmp_path: Path, way: str) -> None:
    root = tmp_path / "set"
    root.mkdir()
    content = coco(root)
    secret = tmp_path / "secret.png"
    Image.new("L", (SIDE, SIDE)).save(secret)
    (root / "train" / "out.png").symlink_to(secret)
    (root / "train" / "out").symlink_to(tmp_path)
    names = {"..": "../../secret.png", "absolute": str(secret), "link": "out.png"}
    name = names.get(way, "out/secret.png")
    content["images"][0]["file_name"] = name
    with pytest.raises(AnnotationError, match="expected a file inside this folder"):
        read_dataset(write_coco(root, content)).split("train")
    assert not check_dataset(read_dataset(root)).usable


def test_a_stated_size_has_the_limit_of_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = coco(tmp_path)
    content["images"][0] |= {"width": 16_384, "height": 16_384}
    with pytest.raises(AnnotationError, match="a stated size of 16384x16384 pixels"):
        read_dataset(write_coco(tmp_path, content)).split("train")
    monkeypatch.setattr(images, "MAX_PIXELS", 1 << 28)
    assert read_dataset(tmp_path).split("train").samples


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_coordinates_that_are_no_numbers(tmp_path: Path, number: float) -> None:
    polygon = [1.0, 1.0, 20.0, 1.0, 20.0, number]
    content = coco(tmp_path, bbox=[1, 2, number, 4], segmentation=[polygon])
    split = read_dataset(write_coco(tmp_path, content)).splits["train"]
    assert [d.action for d in split.defects if "a box of" in d.problem] == ["dropped"]
    assert not split.samples[0].mask((SIDE, SIDE), "boxes").any()
    with pytest.raises(AnnotationError, match=r"expected polygons of 6 or more finite numbers"):
        mask_from_segmentations([[polygon]], (SIDE, SIDE), (SIDE, SIDE), where="a.png")


def refuse_segmentation(segmentation: object, words: str, size: int = SIDE) -> None:
    sizes = ((size, size), (SIDE, SIDE))
    with bounded(256), pytest.raises(AnnotationError, match=f"a.png: .*{words}"):
        mask_from_segmentations([segmentation], *sizes, where="a.png")


def test_run_lengths_that_ask_for_gigabytes() -> None:
    huge = {"size": [100_000, 100_000], "counts": [10**10]}
    refuse_segmentation(huge, "a run-length encoding of size")
    refuse_segmentation(huge, "a run-length encoding of size", size=100_000)
    refuse_segmentation({"size": [SIDE, SIDE], "counts": [10**10]}, "run lengths")
    long = {"size": [SIDE, SIDE], "counts": "0" * (segmentations.MAX_RUN_CHARACTERS + 1)}
    refuse_segmentation(long, "run lengths are neither .* string of up to 16777216 characters")


def test_a_long_string_of_run_lengths_is_read_at_once() -> None:
    """A loop over its characters would take seconds; time is not measured here, memory is."""
    counts = "0" * 2_000_000
    with bounded(256), pytest.raises(AnnotationError, match="run lengths do not add up"):
        mask_from_segmentations(
            [{"size": [SIDE, SIDE], "counts": counts}], (SIDE, SIDE), (SIDE, SIDE), where="a.png"
        )


def test_polygons_of_a_million_points() -> None:
    refuse_segmentation([[1.0, 2.0] * 1_000_000], "polygons .* at most 200000 numbers in total")
    refuse_segmentation([[1.0, 2.0] * 50_000] * 20, "polygons .* at most 200000 numbers in total")


def test_polygons_that_go_round_for_gigabytes() -> None:
    """pycocotools takes 80 bytes for each pixel of an edge: here 8 GB, of a file of 200 kB."""
    zigzag = [0.0, 0.0, 1e9, 1e9] * 50_000
    refuse_segmentation([zigzag], "polygons with a perimeter of up to 4194304 pixels")
    refuse_segmentation([zigzag[:4000]] * 40, "polygons with a perimeter of up to 4194304 pixels")
    contour = [[8.0, 8.0, 56.0, 8.0, 56.0, 56.0, 8.0, 56.0]]
    assert mask_from_segmentations([contour], (SIDE, SIDE), (SIDE, SIDE), where="a").sum() == 48**2


def test_more_defects_than_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three bytes, `{},`, are three defects of some hundred bytes each."""
    content = coco(tmp_path)
    monkeypatch.setattr(defects, "MAX_DEFECTS", 1000)
    content["annotations"] += [{}] * 333
    assert len(read_dataset(write_coco(tmp_path, content)).splits["train"].defects) == 999
    content["annotations"] += [{}]
    with pytest.raises(AnnotationError, match="more than 1000 defects"):
        read_dataset(write_coco(tmp_path, content)).split("train")


def test_a_name_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    """What a message quotes stays one line, without the control characters that move a cursor."""
    content = coco(tmp_path)
    content["images"][0]["file_name"] = "\x1b[2J\nError: all is well\x9b.png"
    content["annotations"][0]["category_id"] = "\x1b]0;title\x07"
    split = read_dataset(write_coco(tmp_path, content)).splits["train"]
    assert len(split.defects) >= 2
    assert all(str(defect).isprintable() for defect in split.defects)
    with pytest.raises(AnnotationError) as caught:
        read_dataset(tmp_path).split("train")
    assert str(caught.value).isprintable()


def test_categories_and_ids_of_other_kinds_do_not_stop_a_grouped_split(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (12, SIDE, SIDE), np.uint8)
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        content: dict[str, Any] = {"categories": [7, [], {"id": []}], "images": []}
        for number in range(6):
            name = f"{split}{number}.png"
            Image.fromarray(noise[number + 6 * (split == "test")]).save(tmp_path / split / name)
            image = {"id": number, "file_name": name, "width": SIDE, "height": SIDE}
            content["images"].append(image)
        sound = {"image_id": 0, "bbox": [1, 2, 30, 40]}
        content["annotations"] = [{"image_id": []}, {"image_id": {"a": 1}}, sound]
        (tmp_path / split / "_annotations.coco.json").write_text(json.dumps(content))
    dataset = read_dataset(tmp_path)
    grouped = split_by_group(dataset, audit_dataset(dataset, LinkRule()))
    write_split(dataset, grouped, tmp_path / "out")
    assert read_dataset(tmp_path / "out").split("train").samples
