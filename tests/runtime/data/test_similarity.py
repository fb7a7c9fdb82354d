"""Links by name and by look: copies of one source, patients, and the eight orientations."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runtime.data.audit import audit_dataset, summarize
from runtime.data.coco import read_dataset
from runtime.data.image_names import patient_name
from runtime.data.samples import Sample
from runtime.data.similarity import LinkRule, find_links
from runtime.data.thumbnails import ORIENTATIONS, orders
from tests.runtime.data.test_audit import make_data, noise


def turned(pixels: np.ndarray) -> dict[str, np.ndarray]:
    """The picture in each orientation, by Pillow."""
    picture, turn = Image.fromarray(pixels), Image.Transpose
    methods = {
        "mirrored left to right": turn.FLIP_LEFT_RIGHT,
        "mirrored top to bottom": turn.FLIP_TOP_BOTTOM,
        "turned by 180 degrees": turn.ROTATE_180,
        "mirrored across the diagonal": turn.TRANSPOSE,
        "turned clockwise by 90 degrees": turn.ROTATE_270,
        "turned counterclockwise by 90 degrees": turn.ROTATE_90,
        "mirrored across the other diagonal": turn.TRANSVERSE,
    }
    return {name: np.asarray(picture.transpose(method)) for name, method in methods.items()}


def samples(names: list[str], patients: list[str | None] | None = None) -> list[Sample]:
    return [
        Sample(Path(name), name, 8, 8, (), patient=patient or patient_name(name))
        for name, patient in zip(names, patients or [None] * len(names), strict=True)
    ]


@pytest.fixture
def unlike(monkeypatch: pytest.MonkeyPatch) -> None:
    """No two images look alike."""
    units = np.random.default_rng(0).normal(size=(1000, 1024)).astype(np.float32)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    monkeypatch.setattr("runtime.data.similarity.thumbnails", lambda found: units[: len(found)])


def linked(names: list[str], splits: str, **found: list[str | None]) -> set[tuple[int, int, str]]:
    links = find_links(samples(names, **found), list(splits), LinkRule(), where="data")
    return {(link.first, link.second, link.reason) for link in links}


def test_a_copy_is_found_in_each_of_the_eight_orientations(tmp_path: Path) -> None:
    versions = turned(noise(0))
    assert list(versions) == list(ORIENTATIONS[1:])
    images = {f"{'abcdefg'[i]}.png": pixels for i, pixels in enumerate(versions.values())}
    audit = audit_dataset(
        make_data(tmp_path / "data", {"train": {"z.png": noise(0)}, "test": images})
    )
    found = {audit.images[k.second].sample.file_name: k for k in audit.links if k.first == 0}
    for name, expected in zip(images, versions, strict=True):
        assert found[name].orientation == expected
        assert found[name].reason == "look"
        assert found[name].correlation == pytest.approx(1.0, abs=0.01)
    assert len(audit.links) == 8 * 7 / 2
    assert audit.groups == 1


def test_the_orientations_are_those_of_the_square() -> None:
    grid = np.arange(1024).reshape(32, 32).astype(np.int32)
    for order, (name, pixels) in zip(orders()[1:], turned(grid).items(), strict=True):
        assert (pixels.ravel() == order).all(), name


@pytest.mark.parametrize("gain", [0.5, 0.8, 1.25])
def test_a_brighter_or_darker_copy_is_linked(tmp_path: Path, gain: float) -> None:
    """Brightness and contrast cancel out of a correlation; clipping at white changes little."""
    smooth = Image.fromarray(noise(3)[:8, :8]).resize((48, 48), Image.Resampling.BICUBIC)
    pixels = np.asarray(smooth).astype(np.float64)
    copy = np.clip(pixels * gain + 10, 0, 255).astype(np.uint8)[:, ::-1]
    data = make_data(
        tmp_path / "data", {"train": {"a.png": np.asarray(smooth)}, "test": {"b.png": copy}}
    )
    (link,) = audit_dataset(data).links
    assert link.orientation == "mirrored left to right"


def test_copies_of_one_source_are_linked_however_they_look(unlike: None) -> None:
    names = ["a_jpg.rf.1f.jpg", "b_jpg.rf.2e.jpg", "x/a_jpg.rf.3d.jpg", "a_png.rf.4c.jpg", "a.jpg"]
    assert linked(names, "ttvvv") == {(0, 2, "source")}


def test_images_of_one_patient_are_linked_however_they_look(unlike: None) -> None:
    names = [
        "patient_7_1.png",
        "sub-7/x.png",
        "patient_7_50.png",
        "SUB-7_y.png",
        "patient_71_1.png",
    ]
    assert linked(names, "tvtvt") == {(0, 2, "patient"), (1, 3, "patient")}


def test_a_stated_patient_goes_before_the_name(unlike: None) -> None:
    names = ["patient1_a.png", "patient1_b.png", "c.png"]
    assert linked(names, "ttt", patients=["P", None, "P"]) == {(0, 2, "patient")}


def test_a_patient_s_images_are_linked_to_one_of_each_split(unlike: None) -> None:
    """All pairs would be 499500; the counts between splits and the groups are the same."""
    names = [f"patient1/{letter}.png" for letter in range(1000)]
    links = linked(names, "tv" * 500)
    assert len(links) < 2 * len(names)
    met = {index for first, second, _ in links if (second - first) % 2 for index in (first, second)}
    assert met == set(range(1000))


def test_a_patient_in_a_coco_entry_is_read(tmp_path: Path) -> None:
    make_data(tmp_path, {"train": {"a.png": noise(0)}, "test": {"b.png": noise(1)}})
    for split, entry in (("train", {"patient_id": 7}), ("test", {"extra": {"Patient": "7"}})):
        path = tmp_path / split / "_annotations.coco.json"
        content = json.loads(path.read_text())
        content["images"][0] |= entry
        path.write_text(json.dumps(content))
    data = read_dataset(tmp_path)
    (link,) = audit_dataset(data).links
    assert link.reason == "patient"
    summary = summarize(audit_dataset(data))
    assert (summary.crossing, summary.crossing_by_name) == (1, 1)
    assert [pair.kind for pair in summary.pairs] == ["names"]


def test_images_of_two_stated_patients_are_not_linked_by_look(tmp_path: Path) -> None:
    """What is known takes the place of a guess; one stated patient alone says nothing."""
    make_data(
        tmp_path,
        {"train": {"s1.png": noise(0), "s2.png": noise(0)}, "test": {"s3.png": noise(0)}},
    )
    for patients, expected in (((1, 1, 2), 1), ((1, 1, None), 3), ((1, 2, 3), 0)):
        remaining = iter(patients)
        for split in ("train", "test"):
            path = tmp_path / split / "_annotations.coco.json"
            content = json.loads(path.read_text())
            for image in content["images"]:
                image["patient_id"] = next(remaining)
            path.write_text(json.dumps(content))
        assert len(audit_dataset(read_dataset(tmp_path)).links) == expected
