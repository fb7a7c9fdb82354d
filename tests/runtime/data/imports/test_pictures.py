"""Folders of pictures with masks: which mask belongs to which picture, patients, and splits."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image
from pycocotools import mask as coco_mask

from runtime.core.errors import AnnotationError, ConfigError, DataError
from runtime.data.check import check_dataset
from runtime.data.coco import Dataset, read_dataset
from runtime.data.imports.coco_files import ImportedImage, Region
from runtime.data.imports.config import ImportConfig
from runtime.data.imports.import_dataset import ImportReport, import_dataset
from runtime.data.imports.labels import Category
from runtime.data.imports.patient_split import assign_splits
from runtime.data.samples import Sample
from runtime.data.split_files import locate_images
from runtime.data.targets import choose_targets

RNG = np.random.default_rng(0)


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def picture(path: Path, size: tuple[int, int] = (12, 10)) -> Path:
    return save(path, RNG.integers(0, 256, size, np.uint8))


def mask(size: tuple[int, int] = (12, 10), level: int = 255) -> np.ndarray:
    pixels = np.zeros(size, np.uint8)
    pixels[2:5, 3 : RNG.integers(5, 9)] = level
    return pixels


def imported(source: Path, **settings: object) -> ImportReport:
    config = ImportConfig(**settings)  # type: ignore[arg-type]
    return import_dataset(source, source.parent / "imported", config)


def samples(dataset: Dataset) -> list[Sample]:
    return [sample for name in dataset.splits for sample in dataset.split(name).samples]


def owners(dataset: Dataset) -> dict[str, set[str]]:
    """Return the splits of each patient."""
    found: dict[str, set[str]] = {}
    for name in dataset.splits:
        for sample in dataset.split(name).samples:
            assert sample.patient is not None
            found.setdefault(sample.patient, set()).add(name)
    return found


@pytest.fixture(scope="module")
def lgg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layout of the LGG set: a folder for each of 12 patients."""
    root = tmp_path_factory.mktemp("lgg") / "source"
    for patient in range(12):
        folder = root / f"TCGA_CS_{4940 + patient}_19960909"
        for number in range(1, 3 + patient % 4):
            picture(folder / f"{folder.name}_{number}.tif")
            pixels = mask() if number > 1 else np.zeros((12, 10), np.uint8)
            save(folder / f"{folder.name}_{number}_mask.tif", pixels)
    return root


@pytest.mark.parametrize("seed", range(3))
def test_no_patient_of_the_lgg_layout_is_in_two_splits(
    lgg: Path, tmp_path: Path, seed: int
) -> None:
    report = import_dataset(lgg, tmp_path / "set", ImportConfig(seed=seed))
    assert all(len(splits) == 1 for splits in owners(report.dataset).values())
    assert len(owners(report.dataset)) == sum(report.patients.values()) == 12
    groups = {sample.patient: sample.group for sample in samples(report.dataset)}
    assert set(groups.values()) == set(range(12))


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # of pycocotools
def test_pictures_stay_in_place_and_masks_are_those_of_the_files(lgg: Path, tmp_path: Path) -> None:
    report = import_dataset(lgg, tmp_path / "set")
    assert not list((tmp_path / "set").rglob("*.tif")) + list((tmp_path / "set").rglob("*.png"))
    seen = 0
    for name in report.dataset.splits:
        split = report.dataset.split(name)
        content = json.loads(split.annotation_file.read_text())
        runs = {a["image_id"]: a for a in content["annotations"]}
        assert choose_targets("auto", [split]).masks == "segmentation"
        for number, sample in enumerate(split.samples):
            file = sample.path.with_name(f"{sample.path.stem}_mask.tif")
            expected = np.asarray(Image.open(file)) > 0
            assert sample.path.is_relative_to(lgg) or sample.path.resolve().is_relative_to(lgg)
            np.testing.assert_array_equal(sample.mask((12, 10), "segmentation"), expected)
            assert (number in runs) == expected.any()
            if expected.any():
                np.testing.assert_array_equal(
                    coco_mask.decode(runs[number]["segmentation"]), expected
                )
                assert runs[number]["area"] == expected.sum()
            seen += 1
    assert seen == len(list(lgg.rglob("*_mask.tif")))


CATEGORY = Category(1, "tumor", ((1, 1),))


def listed(patient: str | None, number: int, area: int) -> ImportedImage:
    name = f"{patient}_{number}.png"
    region = Region(CATEGORY, "", (0.0, 0.0, float(area), 1.0), area)
    return ImportedImage(name, Path(name), 64, 64, patient, None, (region,) if area else ())


@given(
    st.lists(st.lists(st.integers(0, 64), min_size=1, max_size=9), min_size=3, max_size=14),
    st.integers(0, 9),
    st.sampled_from(["70/15/15", "40/30/30", "98/1/1"]),
)
def test_a_split_by_patient_divides_no_patient_and_loses_no_image(
    patients: list[list[int]], seed: int, shares: str
) -> None:
    images = [
        listed(f"p{patient}", number, area)
        for patient, areas in enumerate(patients)
        for number, area in enumerate(areas)
    ]
    placed = assign_splits(images, Path("set"), ImportConfig(seed=seed, shares=shares))
    assert list(placed.images) == ["train", "valid", "test"]
    found = Counter(image.file_name for own in placed.images.values() for image in own)
    assert found == Counter(image.file_name for image in images)
    splits = [{image.patient for image in own} for own in placed.images.values()]
    assert sum(map(len, splits)) == len(patients) == len(set().union(*splits))


def test_images_without_a_patient_are_each_alone_beside_patients() -> None:
    images = [listed("a", 0, 3), listed("a", 1, 3), *(listed(None, n, 3) for n in range(2))]
    placed = assign_splits(images, Path("set"), ImportConfig())
    groups = [group for own in placed.groups.values() for group in own]
    assert sorted(Counter(groups).values()) == [1, 1, 2]
    assert sum(placed.patients().values()) == 1


def test_fewer_patients_than_splits_need_one_split(tmp_path: Path) -> None:
    for name in ("patient1_1", "patient1_2", "patient2_1"):
        picture(tmp_path / "source" / f"{name}.png")
        save(tmp_path / "source" / f"{name}_mask.png", mask())
    with pytest.raises(
        DataError, match=r"source: 2 patients cannot fill train, valid, test; --spl"
    ):
        imported(tmp_path / "source")
    assert not (tmp_path / "imported").exists()
    picture(tmp_path / "source" / "patient3_1.png")
    save(tmp_path / "source" / "patient3_1_mask.png", mask()[1:])
    with pytest.raises(DataError, match=r"1 scan skipped, the first: patient3_1: "):
        imported(tmp_path / "source")
    report = imported(tmp_path / "source", split="test")
    assert (list(report.dataset.splits), report.patients) == (["test"], {"test": 2})


def test_without_patients_images_that_look_alike_stay_together(tmp_path: Path) -> None:
    for name in "abcdefgh":
        path = picture(tmp_path / "source/images" / f"{name}.png", (40, 40))
        save(tmp_path / "source/images" / f"{name}2.png", np.asarray(Image.open(path))[:, ::-1])
        for copy in (name, f"{name}2"):
            save(tmp_path / "source/masks" / f"{copy}.png", mask((40, 40), 1))
    report = imported(tmp_path / "source")
    assert report.patients == {}
    for name in report.dataset.splits:
        stems = [Path(s.file_name).stem[0] for s in report.dataset.split(name).samples]
        assert set(Counter(stems).values()) == {2}


def test_images_that_all_look_alike_need_patients_or_one_split(tmp_path: Path) -> None:
    source = tmp_path / "source"
    first = picture(source / "images/a0_0.png", (40, 40)).read_bytes()
    for patient in "abcd":
        for number in range(2):
            (source / f"images/{patient}0_{number}.png").write_bytes(first)
            save(source / f"masks/{patient}0_{number}.png", mask((40, 40), 1))
    with pytest.raises(DataError, match=r"no patient is known.* 1 group, .* --patients name or"):
        imported(source)
    assert sum(imported(source, patients="name").patients.values()) == 4


def test_splits_and_several_masks_of_the_source_are_kept(tmp_path: Path) -> None:
    masks = []
    for place in ("train/images/p1", "train/images/p2", "val/images/p3", "test/images/p4"):
        picture(tmp_path / "source" / place / "a.jpg")
        folder = tmp_path / "source" / place.replace("images", "masks")
        first, second = mask(), np.roll(mask(), 5, axis=0)
        masks.append((first > 0) | (second > 0))
        save(folder / "a_mask.png", first)
        save(folder / "a_mask_1.png", second)
    report = imported(tmp_path / "source")
    assert report.patients == {"train": 2, "valid": 1, "test": 1}
    found = [s for n in ("train", "valid", "test") for s in report.dataset.split(n).samples]
    assert [sample.patient for sample in found] == ["p1", "p2", "p3", "p4"]
    for sample, expected in zip(found, masks, strict=True):
        np.testing.assert_array_equal(sample.mask((12, 10), "segmentation"), expected)


def test_few_folders_are_classes_and_not_patients_unless_asked_for(tmp_path: Path) -> None:
    for place in ("benign", "malignant", "normal"):
        for number in range(3):
            picture(tmp_path / "source" / place / f"{place} ({number}).png")
            save(tmp_path / "source" / place / f"{place} ({number})_mask.png", mask())
    assert imported(tmp_path / "source").patients == {}
    report = import_dataset(
        tmp_path / "source", tmp_path / "second", ImportConfig(patients="folder")
    )
    assert report.patients == {"train": 1, "valid": 1, "test": 1}


def test_what_has_no_partner_or_does_not_fit_is_named_and_counted(tmp_path: Path) -> None:
    root = tmp_path / "source"
    for name in ("patient1_1", "patient2_1", "patient3_1"):
        picture(root / f"{name}.png")
        save(root / f"{name}_mask.png", mask())
    picture(root / "patient4_alone.png")
    save(root / "patient4_left_mask.png", mask())
    picture(root / "patient5_size.png", (12, 11))
    save(root / "patient5_size_mask.png", mask())
    picture(root / "patient6_levels.png")
    save(root / "patient6_levels_mask.png", np.arange(120, dtype=np.uint8).reshape(12, 10))
    picture(root / "patient7_color.png")
    save(root / "patient7_color_mask.png", RNG.integers(0, 256, (12, 10, 3), np.uint8))
    picture(root / "patient8_damaged.png")
    (root / "patient8_damaged_mask.png").write_bytes((root / "patient1_1.png").read_bytes()[:60])
    report = imported(root)
    assert sum(len(split.samples) for split in report.dataset.splits.values()) == 3
    found = {defect.where: (defect.reason, defect.problem) for defect in report.defects}
    assert found["patient4_alone.png"][0] == "an image without a mask"
    assert found["patient4_left_mask.png"][0] == "a mask without its image"
    assert found["patient5_size"] == (
        "a mask of another size than its image",
        "11x12 pixels, but the mask patient5_size_mask.png has 10x12",
    )
    assert found["patient6_levels"] == (
        "a mask that is not binary; --label NAME=LEVELS chooses levels",
        "a mask that is not binary, with the levels 1, 2, 3, 4 and 115 more",
    )
    assert found["patient7_color"][1].endswith("_mask.png: expected a gray mask, found colors")
    assert found["patient8_damaged"][0] == "a file that cannot be read"
    assert len(found) == 6


def test_an_empty_mask_is_no_missing_annotation(tmp_path: Path) -> None:
    root = tmp_path / "source"
    for name in ("patient1_1", "patient1_2", "patient2_1", "patient3_1"):
        picture(root / f"{name}.png")
        save(root / f"{name}_mask.png", np.zeros_like(mask()) if name[-1] == "2" else mask())
    dataset = imported(root).dataset
    assert [len(s.annotations) for split in dataset.splits.values() for s in split.samples].count(0)
    report = check_dataset(dataset)
    assert not report.defects
    assert not any("no annotation" in note for note in report.notes)


def test_labels_choose_and_join_the_levels_of_masks(tmp_path: Path) -> None:
    root = tmp_path / "source"
    levels = np.zeros((12, 10), np.uint8)
    levels[0, :4] = 1, 2, 3, 200
    for patient in range(3):
        picture(root / f"patient{patient}_1.png")
        save(root / f"patient{patient}_1_mask.png", levels)
    report = imported(root, labels=("core=1,3", "soft=128-255"))
    (sample,) = report.dataset.split("test").samples
    assert [annotation.category for annotation in sample.annotations] == ["core", "soft"]
    expected = np.isin(levels, (1, 3, 200))
    np.testing.assert_array_equal(sample.mask((12, 10), "segmentation"), expected)
    with pytest.raises(
        ConfigError, match=r"^label: no label 'x'; the masks name no labels: give levels"
    ):
        import_dataset(root, tmp_path / "other", ImportConfig(labels=("x",)))


@pytest.mark.parametrize(
    ("pattern", "mask_name"),
    [("{name}_gt.png", "patient0_1_gt.png"), ("../truth/{name}", "../truth/patient0_1.png")],
)
def test_a_pattern_says_where_masks_are_also_when_the_set_is_read(
    tmp_path: Path, pattern: str, mask_name: str
) -> None:
    for patient in range(3):
        picture(tmp_path / "source/scans" / f"patient{patient}_1.jpg")
        name = mask_name.replace("patient0", f"patient{patient}")
        save(tmp_path / "source/scans" / name, mask())
    report = imported(tmp_path / "source", mask_pattern=pattern)
    assert report.defects == ()
    assert sum(report.patients.values()) == 3
    assert len(read_dataset(tmp_path / "imported").split("train").samples) == 1
    with pytest.raises(ConfigError, match=r"^mask_pattern: expected \{name\} in the file's name"):
        import_dataset(tmp_path / "source", tmp_path / "x", ImportConfig(mask_pattern="masks"))


def test_a_part_of_the_empty_images_is_kept_the_same_by_seed(lgg: Path, tmp_path: Path) -> None:
    sizes = []
    for number, keep in enumerate((0.0, 0.5, 0.5, 1.0)):
        config = ImportConfig(keep_empty=keep)
        report = import_dataset(lgg, tmp_path / str(number), config)
        names = [sample.file_name for sample in samples(report.dataset)]
        sizes.append((len(names), report.dropped, sorted(names)))
    assert sizes[1] == sizes[2]
    assert sizes[0][1] == 12
    assert 0 < sizes[1][1] < 12
    assert all(kept + dropped == sizes[3][0] for kept, dropped, _ in sizes)


def test_a_turned_picture_has_the_size_that_its_mask_has(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    for patient in range(3):
        stored = Image.fromarray(RNG.integers(0, 256, (10, 12), np.uint8))
        (tmp_path / "source").mkdir(exist_ok=True)
        stored.save(tmp_path / "source" / f"patient{patient}_1.jpg", exif=exif)
        # The mask as viewers show the picture, or as it is stored.
        size = (12, 10) if patient else (10, 12)
        save(tmp_path / "source" / f"patient{patient}_1_mask.png", mask(size))
    report = imported(tmp_path / "source", split="train")
    sizes = {s.patient: s.load().original_size for s in report.dataset.split("train").samples}
    assert sizes == {"patient0": (10, 12), "patient1": (12, 10), "patient2": (12, 10)}


def test_a_palette_and_one_bit_are_labels_and_what_is_transparent_is_background(
    tmp_path: Path,
) -> None:
    expected = mask(level=1)
    forms = [
        Image.fromarray(expected).convert("P"),
        Image.fromarray(expected.astype(bool)),
        Image.merge(
            "RGBA", [Image.new("L", (10, 12), 255)] * 3 + [Image.fromarray(expected * 255)]
        ),
        Image.fromarray(expected.astype(np.uint16) * 65535),
    ]
    for number, form in enumerate(forms):
        picture(tmp_path / "source" / f"patient{number}_1.png")
        form.save(tmp_path / "source" / f"patient{number}_1_mask.png")
    report = imported(tmp_path / "source", split="train")
    assert report.defects == ()
    for sample in report.dataset.split("train").samples:
        np.testing.assert_array_equal(sample.mask((12, 10), "segmentation"), expected)


def test_a_coco_file_names_no_folder_of_pictures_without_masks(lgg: Path, tmp_path: Path) -> None:
    """A file of unknown origin could otherwise have any picture read."""
    import_dataset(lgg, tmp_path / "set", ImportConfig(split="train"))
    private = tmp_path / "private"
    picture(private / "a.png")
    path = tmp_path / "set/train/_annotations.coco.json"
    content = json.loads(path.read_text())
    content["info"]["image_root"] = "../../private"
    for name in ("a.png", "../private/a.png", str(private / "a.png")):
        content["images"] = [{"id": 0, "file_name": name, "width": 10, "height": 12}]
        path.write_text(json.dumps(content))
        with pytest.raises(AnnotationError, match=r"is not there; if it moved, run `seg-data loc"):
            read_dataset(tmp_path / "set").split("train")


def test_a_set_whose_pictures_moved_is_located_again(lgg: Path, tmp_path: Path) -> None:
    (tmp_path / "old").symlink_to(lgg)
    import_dataset(lgg, tmp_path / "set")
    for path in (tmp_path / "set").glob("*/*.json"):
        path.write_text(path.read_text().replace("image_root", "image_root").replace("source", "x"))
    with pytest.raises(AnnotationError, match=r"is not there"):
        read_dataset(tmp_path / "set").split("train")
    assert locate_images(tmp_path / "set", lgg).split("train").samples


def test_a_folder_of_no_known_layout_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "source/a.png")
    with pytest.raises(
        DataError, match=r"source: unknown layout of scans and masks; the known ones are Med"
    ):
        imported(tmp_path / "source")
    with pytest.raises(DataError, match=r"absent: no such folder$"):
        imported(tmp_path / "absent")
