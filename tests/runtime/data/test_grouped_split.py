"""The grouped split: no group in two splits, sizes kept, files that other readers take."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from runtime.core.errors import AnnotationError, ConfigError, DataError, OutputError
from runtime.data.audit import Audit, AuditedImage, audit_dataset
from runtime.data.coco import Dataset, read_dataset
from runtime.data.grouped_split import read_shares, split_by_group
from runtime.data.manifest import manifest_sha256
from runtime.data.samples import Annotation, Sample
from runtime.data.similarity import LinkRule
from runtime.data.split import Split
from runtime.data.split_files import write_split

COCO_FILE = "_annotations.coco.json"


def test_every_image_keeps_its_pixels_its_annotations_and_its_group(
    phantom_data: Dataset, tmp_path: Path
) -> None:
    audit = audit_dataset(phantom_data)
    split = split_by_group(phantom_data, audit, seed=3)
    write_split(phantom_data, split, tmp_path / "out")
    again = read_dataset(tmp_path / "out")
    before = {s.path.resolve(): s for d in phantom_data.splits.values() for s in d.samples}
    after = {s.path.resolve(): s for d in again.splits.values() for s in d.samples}
    assert before.keys() == after.keys()
    for path, sample in after.items():
        assert (sample.mask((64, 64), "boxes") == before[path].mask((64, 64), "boxes")).all()
    groups = {image.sample.path.resolve(): image.group for image in audit.images}
    assert all(sample.group == groups[path] for path, sample in after.items())
    owners: dict[int | None, set[str]] = {}
    for name, part in again.splits.items():
        for sample in part.samples:
            owners.setdefault(sample.group, set()).add(name)
    assert all(len(names) == 1 for names in owners.values())
    assert not any(defect.fatal for part in again.splits.values() for defect in part.defects)


def test_pycocotools_reads_what_was_written(phantom_data: Dataset, tmp_path: Path) -> None:
    write_split(
        phantom_data, split_by_group(phantom_data, audit_dataset(phantom_data)), tmp_path / "o"
    )
    names = set()
    for split in ("train", "valid", "test"):
        coco = COCO(str(tmp_path / "o" / split / COCO_FILE))
        for image in coco.loadImgs(coco.getImgIds()):
            names.add(image["file_name"])
            assert (phantom_data.root / image["file_name"]).is_file()
            assert len(coco.getAnnIds(imgIds=image["id"])) == 1
    assert len(names) == sum(len(s.samples) for s in phantom_data.splits.values())


def test_the_same_seed_gives_the_same_split_and_another_seed_another(phantom_data: Dataset) -> None:
    audit = audit_dataset(phantom_data)
    first, again, other = (split_by_group(phantom_data, audit, seed=s) for s in (0, 0, 1))
    assert first.assigned == again.assigned != other.assigned


def test_the_fingerprint_does_not_depend_on_where_the_split_lies(
    phantom_data: Dataset, tmp_path: Path
) -> None:
    split = split_by_group(phantom_data, audit_dataset(phantom_data))
    sums = set()
    for place in (tmp_path / "a", tmp_path / "deeper" / "b"):
        write_split(phantom_data, split, place)
        sums.add(manifest_sha256(read_dataset(place).splits.values()))
    assert len(sums) == 1


def test_a_split_of_a_split_refers_to_the_first_images(
    phantom_data: Dataset, tmp_path: Path
) -> None:
    write_split(
        phantom_data, split_by_group(phantom_data, audit_dataset(phantom_data)), tmp_path / "a"
    )
    first = read_dataset(tmp_path / "a")
    write_split(first, split_by_group(first, audit_dataset(first), seed=1), tmp_path / "b")
    second = read_dataset(tmp_path / "b")
    assert second.image_root.resolve() == phantom_data.root.resolve()


def test_nothing_is_written_over(phantom_data: Dataset, tmp_path: Path) -> None:
    split = split_by_group(phantom_data, audit_dataset(phantom_data))
    (tmp_path / "there").write_text("mine")
    with pytest.raises(OutputError):
        write_split(phantom_data, split, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["there"]


@pytest.mark.parametrize("root", ["/etc", "..", "nowhere", "\0", 7, ""])
def test_only_a_data_set_s_folder_is_taken_for_images(
    phantom_data: Dataset, tmp_path: Path, root: object
) -> None:
    write_split(
        phantom_data, split_by_group(phantom_data, audit_dataset(phantom_data)), tmp_path / "o"
    )
    path = tmp_path / "o" / "train" / COCO_FILE
    content = json.loads(path.read_text())
    content["info"]["image_root"] = root
    path.write_text(json.dumps(content))
    if root == "..":  # the folder above is the new split's own, which is a data set without images
        assert any(d.fatal for d in read_dataset(tmp_path / "o").splits["train"].defects)
        return
    with pytest.raises(AnnotationError, match="image_root"):
        read_dataset(tmp_path / "o").split("train")


def test_a_name_cannot_leave_the_image_root(phantom_data: Dataset, tmp_path: Path) -> None:
    write_split(
        phantom_data, split_by_group(phantom_data, audit_dataset(phantom_data)), tmp_path / "o"
    )
    path = tmp_path / "o" / "train" / COCO_FILE
    content = json.loads(path.read_text())
    content["images"][0]["file_name"] = "../secret.png"
    path.write_text(json.dumps(content))
    with pytest.raises(AnnotationError, match="inside this folder"):
        read_dataset(tmp_path / "o").split("train")


def test_one_split_alone_cannot_be_split_again(phantom: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "train").symlink_to(phantom / "train")
    data = read_dataset(tmp_path / "one")
    with pytest.raises(DataError, match="one split, 'train'; give --shares 70/15/15"):
        split_by_group(data, audit_dataset(data))


def of_tumor_sizes(folder: Path, splits: dict[str, list[tuple[int, float]]]) -> Dataset:
    """A data set whose images have a look (equal looks form a group) and a square lesion."""
    for name, images in splits.items():
        (folder / name).mkdir(parents=True)
        content: dict[str, Any] = {"categories": [{"id": 1, "name": "t"}]}
        content |= {"images": [], "annotations": []}
        for index, (look, share) in enumerate(images):
            pixels = np.random.default_rng(look).integers(0, 256, (40, 40), np.uint8)
            file, side = f"{name}{'abcdefghij'[index % 10]}_{index // 10}x.png", 40 * share**0.5
            Image.fromarray(pixels).save(folder / name / file)
            content["images"].append({"id": index, "file_name": file, "width": 40, "height": 40})
            box = {"id": index, "image_id": index, "category_id": 1, "bbox": [0, 0, side, side]}
            content["annotations"].append(box)
        (folder / name / COCO_FILE).write_text(json.dumps(content))
    return read_dataset(folder)


def test_each_split_keeps_its_share_of_each_fifth_of_tumor_sizes(tmp_path: Path) -> None:
    """With the images each a group of its own, the balance can be exact, and is, in both splits."""
    rng = np.random.default_rng(5)
    shares = rng.permutation(np.linspace(0.01, 0.9, 100)).tolist()
    looks = list(enumerate(shares))
    data = of_tumor_sizes(tmp_path / "data", {"train": looks[:70], "test": looks[70:]})
    audit = audit_dataset(data, LinkRule(correlation=1.0, slices=0))
    edges = np.quantile(shares, [0.2, 0.4, 0.6, 0.8])

    def fifths(members: list[float]) -> list[int]:
        counts = np.bincount(np.searchsorted(edges, members, side="right"), minlength=5)
        return [int(count) for count in counts]

    def share(image: AuditedImage) -> float:
        _, _, width, height = image.sample.annotations[0].box
        return width * height / 1600

    before = {"train": fifths(shares[:70]), "test": fifths(shares[70:])}
    for seed in range(3):
        assigned = split_by_group(data, audit, seed=seed).assigned
        placed = list(zip(audit.images, assigned, strict=True))
        assert before == {n: fifths([share(i) for i, at in placed if at == n]) for n in before}


def test_a_split_that_no_group_fits_gets_one_all_the_same(tmp_path: Path) -> None:
    """Two groups of four images each, for splits of six and two."""
    data = of_tumor_sizes(
        tmp_path / "data", {"train": [(0, 0.1)] * 3 + [(1, 0.8)] * 3, "test": [(0, 0.1), (1, 0.8)]}
    )
    audit = audit_dataset(data)
    assert audit.groups == 2
    split = split_by_group(data, audit)
    assert split.wanted == {"train": 6, "test": 2}
    assert split.sizes() == {"train": 4, "test": 4}


def test_large_groups_are_placed_first(tmp_path: Path) -> None:
    """A large group that came last would overfill the split that it falls into."""
    groups = [(0, 0.1)] * 10 + [(look, 0.1) for look in range(1, 11)]
    data = of_tumor_sizes(tmp_path / "data", {"train": groups[:10], "test": groups[10:]})
    for seed in range(5):
        sizes = split_by_group(data, audit_dataset(data), seed=seed).sizes()
        assert sizes == {"train": 10, "test": 10}


def audited(groups: list[tuple[str, int]], seed: int) -> tuple[Dataset, Audit]:
    """A data set of groups, each with its split and its number of images, without any file."""
    rng = np.random.default_rng(seed)
    images: list[AuditedImage] = []
    parts: dict[str, list[Sample]] = {}
    for number, (split, size) in enumerate(groups):
        for index in range(size):
            box = (0.0, 0.0, float(rng.uniform(1, 9)), 9.0)
            name = f"{number}_{index}.png"
            sample = Sample(Path(name), name, 10, 10, (Annotation(1, box, None),))
            images.append(AuditedImage(split, sample, "", None, number))
            parts.setdefault(split, []).append(sample)
    splits = {n: Split(n, Path(n), tuple(found), None, ()) for n, found in parts.items()}
    return Dataset(Path("data"), splits), Audit(LinkRule(), tuple(images), (), ())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("sizes", "largest"),
    [((154, 4, 20), 2), ((180, 21, 10), 1), ((180, 21, 10), 60), ((40, 3, 2), 3)],
)
def test_sizes_are_exact_where_groups_allow(
    sizes: tuple[int, ...], largest: int, seed: int
) -> None:
    groups = []
    for name, size in zip(("train", "valid", "test"), sizes, strict=True):
        big = largest if size > largest else 1
        groups += [(name, big)] * (size // big // 2) + [(name, 1)] * (size - size // big // 2 * big)
    dataset, audit = audited(groups, seed)
    split = split_by_group(dataset, audit, seed=seed)
    assert tuple(split.sizes().values()) == sizes == tuple(split.wanted.values())
    owners: dict[int, set[str]] = {}
    for image, name in zip(audit.images, split.assigned, strict=True):
        owners.setdefault(image.group, set()).add(name)
    assert all(len(names) == 1 for names in owners.values())


@pytest.mark.parametrize("seed", range(20))
def test_sizes_are_the_best_that_small_sets_of_groups_allow(seed: int) -> None:
    """Against all assignments: at most two images more off than the best of them."""
    rng = np.random.default_rng(seed)
    sizes = [int(size) for size in rng.integers(1, 6, 7)]
    names = ("train", "valid", "test")
    dataset, audit = audited([(names[i % 3], size) for i, size in enumerate(sizes)], seed)
    split = split_by_group(dataset, audit, shares=read_shares("60/25/15"))
    wanted = list(split.wanted.values())

    def off(owners: tuple[int, ...]) -> int:
        placed = np.bincount(owners, sizes, minlength=3)
        return int(np.abs(placed - wanted).sum())

    assert sum(wanted) == sum(sizes)
    best = min(off(owners) for owners in product(range(3), repeat=7) if len(set(owners)) == 3)
    found = sum(abs(split.sizes()[name] - split.wanted[name]) for name in names)
    assert found <= best + 2


@pytest.mark.parametrize(
    "text",
    ["70/30", "70/15/5", "a/b/c", "", "100/0/0", "70/-15/45", "nan/50/50", "50/nan/50", "1/1/1/97"],
)
def test_impossible_shares_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="shares: expected percentages"):
        read_shares(text)


def test_images_that_are_all_alike_cannot_fill_two_splits(tmp_path: Path) -> None:
    images = {f"{letter}.png": np.arange(64, dtype=np.uint8).reshape(8, 8) for letter in "ab"}
    for name, (file, pixels) in zip(("train", "test"), images.items(), strict=True):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels).save(tmp_path / name / file)
        content = {
            "images": [{"id": 0, "file_name": file, "width": 8, "height": 8}],
            "annotations": [{"id": 0, "image_id": 0, "category_id": 1, "bbox": [1, 1, 4, 4]}],
            "categories": [{"id": 1, "name": "t"}],
        }
        (tmp_path / name / COCO_FILE).write_text(json.dumps(content))
    data = read_dataset(tmp_path)
    with pytest.raises(DataError, match="the 2 images form only 1 group of similar images"):
        split_by_group(data, audit_dataset(data))
