import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from runtime.core.errors import DataError, ImageError, OutputError
from runtime.core.progress import Progress
from runtime.core.settings import Resize
from runtime.data.check import check_dataset
from runtime.data.coco import Dataset, read_dataset
from runtime.data.framing import cut_windows
from runtime.data.images import load_scan
from runtime.data.resizing import to_input
from runtime.data.samples import Annotation, MaskKind, Sample
from runtime.data.split import Split
from runtime.model.metadata import InputSpec
from train.checkpoint import DataFacts
from train.config import TrainConfig
from train.data import Batches, DecodedSplit, decode_split
from train.targets import read_training_splits


@pytest.fixture
def decoded(phantom_data: Dataset, tmp_path: Path) -> DecodedSplit:
    return decode_split(phantom_data.split("train"), 32, "boxes", tmp_path / "cache")


def test_batches_hold_what_the_runtime_decodes(
    decoded: DecodedSplit, phantom_data: Dataset
) -> None:
    batches = Batches(decoded, 3, torch.device("cpu"))
    order = batches.indices()
    samples = phantom_data.split("train").samples
    for index, (images, masks) in zip(order, batches.load(order), strict=True):
        for position, image, mask in zip(index, images, masks, strict=True):
            sample = samples[position]
            expected = to_input(load_scan(sample.path, (32, 32)).pixels)
            np.testing.assert_array_equal(image.numpy(), expected)
            np.testing.assert_array_equal(mask[0].numpy(), sample.mask((32, 32), "boxes"))
        assert images.is_contiguous(memory_format=torch.channels_last)


def test_an_epoch_shows_each_image_once_in_an_order_of_its_own(decoded: DecodedSplit) -> None:
    batches = Batches(decoded, 3, torch.device("cpu"))
    orders = [np.concatenate(batches.indices((7, epoch))).tolist() for epoch in (1, 2, 1)]
    for order in orders:
        assert sorted(order) == list(range(len(decoded.names)))
    assert orders[0] == orders[2] != orders[1]
    assert len(batches) == len(batches.indices())


def test_an_image_is_decoded_once(
    phantom_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split, cache = phantom_data.split("valid"), tmp_path / "cache"
    seen: list[Progress] = []
    first = decode_split(split, 32, "boxes", cache, on_progress=seen.append)
    assert [step.done for step in seen] == list(range(1, len(split.samples) + 1))
    assert {step.total for step in seen} == {len(split.samples)}
    monkeypatch.setattr("runtime.data.samples.load_scan", lambda *_: pytest.fail("decoded again"))
    again = decode_split(split, 32, "boxes", cache)
    np.testing.assert_array_equal(first.images, again.images)


def test_the_cache_follows_size_masks_and_changed_files(phantom: Path, tmp_path: Path) -> None:
    root, cache = tmp_path / "data", tmp_path / "cache"
    shutil.copytree(phantom, root)
    split = read_dataset(root).split("valid")
    decode_split(split, 32, "boxes", cache)
    decode_split(split, 48, "boxes", cache)
    decode_split(split, 32, "segmentation", cache)
    assert len(list(cache.iterdir())) == 3
    shutil.copyfile(split.samples[1].path, split.samples[0].path)
    changed = decode_split(split, 32, "boxes", cache)
    np.testing.assert_array_equal(changed.images[0], changed.images[1])


def purge(file: Path) -> None:
    file.unlink()


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:1000])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def shrink(file: Path) -> None:
    np.save(file, np.load(file)[1:])


@pytest.mark.parametrize("damage", [purge, cut, empty, shrink])
@pytest.mark.parametrize("name", ["images", "masks"])
def test_a_damaged_entry_is_made_again(
    phantom_data: Dataset, tmp_path: Path, damage: Callable[[Path], None], name: str
) -> None:
    split, cache = phantom_data.split("valid"), tmp_path / "cache"
    whole = decode_split(split, 32, "boxes", cache)
    images, masks = whole.images.copy(), whole.masks.copy()
    del whole
    (entry,) = cache.iterdir()
    damage(entry / f"{name}.npy")
    again = decode_split(split, 32, "boxes", cache)
    np.testing.assert_array_equal(again.images, images)
    np.testing.assert_array_equal(again.masks, masks)


@pytest.mark.parametrize(("count", "lengths"), [(7, [3, 4]), (8, [3, 3, 2]), (6, [3, 3]), (1, [1])])
def test_a_last_batch_of_one_joins_the_one_before_where_two_are_needed(
    count: int, lengths: list[int]
) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, 16, 16, 3), np.uint8)
    split = DecodedSplit(tuple("abcdefgh"[:count]), images, np.zeros((count, 16, 2), np.uint8))
    batches = Batches(split, 3, torch.device("cpu"), smallest=2)
    order = batches.indices((0, 1))
    assert [len(batch) for batch in order] == lengths
    assert len(batches) == len(lengths)
    assert sorted(np.concatenate(order)) == list(range(count))
    for index, (loaded, _) in zip(order, batches.load(order), strict=True):
        expected = images[index].transpose(0, 3, 1, 2) / np.float32(255)
        np.testing.assert_allclose(loaded.numpy(), expected, rtol=1e-6)
    plain = Batches(split, 3, torch.device("cpu"))
    assert [len(batch) for batch in plain.indices()] == [
        min(3, count - start) for start in range(0, count, 3)
    ]


def test_the_intensity_is_part_of_an_entrys_key(phantom_data: Dataset, tmp_path: Path) -> None:
    split = phantom_data.split("valid")
    decode_split(split, 32, "boxes", tmp_path)
    decode_split(split.with_intensity(4095), 32, "boxes", tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_failure_leaves_nothing_in_the_cache(phantom: Path, tmp_path: Path) -> None:
    root, cache = tmp_path / "data", tmp_path / "cache"
    shutil.copytree(phantom, root)
    split = read_dataset(root).split("valid")
    split.samples[-1].path.write_text("no picture")
    with pytest.raises(ImageError, match=split.samples[-1].file_name):
        decode_split(split, 32, "boxes", cache)
    assert list(cache.iterdir()) == []


def test_a_file_in_the_caches_place_is_named(phantom_data: Dataset, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(OutputError, match=r"cache/.*cannot be written"):
        decode_split(phantom_data.split("valid"), 32, "boxes", tmp_path / "cache")


def test_the_file_stays_as_it_is_when_a_batch_is_written_to(decoded: DecodedSplit) -> None:
    before = decoded.images.copy()
    images, _ = next(Batches(decoded, 2, torch.device("cpu")).load([np.array([0, 1])]))
    images.zero_()
    np.testing.assert_array_equal(decoded.images, before)


@pytest.mark.parametrize("kind", ["boxes", "segmentation"])
def test_masks_are_of_the_kind_that_is_asked_for(
    phantom_data: Dataset, tmp_path: Path, kind: MaskKind
) -> None:
    split = phantom_data.split("valid")
    batches = Batches(decode_split(split, 32, kind, tmp_path), 4, torch.device("cpu"))
    ((_, masks),) = batches.load(batches.indices())
    expected = np.stack([sample.mask((32, 32), kind) for sample in split.samples])
    np.testing.assert_array_equal(masks[:, 0].numpy(), expected)
    other = np.stack([sample.mask((32, 32), "boxes") for sample in split.samples])
    assert (kind == "boxes") is bool((expected == other).all())


def test_the_cache_follows_the_annotations(phantom: Path, tmp_path: Path) -> None:
    root, cache = tmp_path / "data", tmp_path / "cache"
    shutil.copytree(phantom, root)
    split = read_dataset(root).split("valid")
    before = decode_split(split, 32, "boxes", cache).masks.copy()
    content = json.loads(split.annotation_file.read_text())
    for annotation in content["annotations"]:
        annotation["bbox"] = [0, 0, 32, 32]
    split.annotation_file.write_text(json.dumps(content))
    changed = decode_split(read_dataset(root).split("valid"), 32, "boxes", cache).masks
    assert not np.array_equal(before, changed)
    assert (np.unpackbits(changed, axis=2)[:, :16, :16] == 1).any(axis=(1, 2)).any()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="names of open files are Linux's")
def test_a_cache_entry_is_on_the_disk_before_it_has_its_name(
    phantom_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, rename = os.fsync, os.rename

    def recorded_fsync(descriptor: int) -> None:
        events.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def recorded_rename(*arguments: Any, **settings: Any) -> None:
        events.append("renamed")
        rename(*arguments, **settings)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "rename", recorded_rename)
    decode_split(phantom_data.split("valid"), 32, "boxes", tmp_path / "cache")
    written = events[: events.index("renamed")] if "renamed" in events else events
    assert {"images.npy", "masks.npy"} <= set(written)


@pytest.fixture
def long_scan(tmp_path: Path) -> Split:
    """A split with one image of 40x100 pixels, bright within its annotated box."""
    folder = tmp_path / "long"
    folder.mkdir()
    pixels = np.full((40, 100), 50, np.uint8)
    pixels[8:24, 60:90] = 250
    Image.fromarray(pixels).save(folder / "a.png")
    annotation = Annotation(id=1, box=(60.0, 8.0, 30.0, 16.0), segmentation=None)
    (folder / "train.json").write_text("{}")
    sample = Sample(folder / "a.png", "a.png", 100, 40, (annotation,))
    return Split("train", folder / "train.json", (sample,), None, ())


@pytest.mark.parametrize(("resize", "count"), [("stretch", 1), ("fit", 1), ("tile", 8)])
def test_images_and_masks_are_resized_alike_by_every_rule(
    long_scan: Split, tmp_path: Path, resize: Resize, count: int
) -> None:
    """Bright pixels and the mask are the same place; windows have the image's own pixels."""
    decoded = decode_split(long_scan, 32, "boxes", tmp_path / "cache", resize=resize)
    assert decoded.images.shape == (count, 32, 32, 3)
    assert decoded.names == ("a.png",) * count
    masks = np.unpackbits(decoded.masks, axis=2)
    bright = decoded.images[..., 0] > 150
    assert 0.98 < (bright == masks).mean() <= 1.0
    if resize == "tile":
        np.testing.assert_array_equal(bright, masks)
        assert masks[:, :, :].sum() > 16 * 30
    if resize == "fit":
        assert not decoded.images[0, :9].any()
        assert not decoded.images[0, -9:].any()


def test_the_cache_follows_the_rule_for_other_sizes(long_scan: Split, tmp_path: Path) -> None:
    for resize in ("stretch", "fit"):
        decode_split(long_scan, 32, "boxes", tmp_path / "cache", resize=resize)
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_network_predicts_as_it_was_trained(long_scan: Split, tmp_path: Path) -> None:
    """What the runtime's windows show is what training saw."""
    for resize in ("fit", "tile"):
        decoded = decode_split(long_scan, 32, "boxes", tmp_path / "cache", resize=resize)
        spec = InputSpec(32, 32, resize=resize, view_height=32, view_width=32)
        pixels = load_scan(long_scan.samples[0].path, spec.framing((32, 32)).scaled).pixels
        seen = [window for window, _ in cut_windows([(pixels, None)], (32, 32))]
        np.testing.assert_array_equal(np.stack(seen), decoded.images)


def test_images_without_annotations_are_dropped_where_asked_and_belong_to_the_data(
    phantom: Path, tmp_path: Path
) -> None:
    """The manifest is that of the whole splits: the data set is not foreign to the network."""
    root = tmp_path / "data"
    shutil.copytree(phantom, root)
    dataset = read_dataset(root)
    file = dataset.split("train").annotation_file
    content = json.loads(file.read_text())
    empty = content["images"][2]
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] != empty["id"]]
    file.write_text(json.dumps(content))
    dataset = read_dataset(root)
    kept, dropped = (
        read_training_splits(TrainConfig(data=str(root), empty=choice), dataset)
        for choice in ("keep", "drop")
    )
    names = [[sample.file_name for sample in found.train.samples] for found in (kept, dropped)]
    assert names[1] == [name for name in names[0] if name != empty["file_name"]]
    assert "train: 1 of 16 images have no annotation and are skipped." in dropped.notes
    facts = [DataFacts.of(dataset, (found.train, found.valid)) for found in (kept, dropped)]
    assert facts[0].sha256 == facts[1].sha256
    assert [fact.images["train"] for fact in facts] == [16, 15]
    notes = " ".join(check_dataset(dataset).notes)
    assert f"train: 1 image has no annotation; the first: {empty['file_name']}. Is" in notes
    only = read_training_splits(
        TrainConfig(data=str(root), empty="drop", categories=("bright",)),
        read_dataset(root, categories=["bright"]),
    )
    assert len(only.train.samples) == 15  # images of the other category are known to be negative


def test_a_split_of_which_nothing_remains_is_named(phantom: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(phantom, root)
    file = read_dataset(root).split("valid").annotation_file
    file.write_text(json.dumps(json.loads(file.read_text()) | {"annotations": []}))
    with pytest.raises(DataError, match=r"no image has an annotation$"):
        read_training_splits(TrainConfig(data=str(root), empty="drop"))
