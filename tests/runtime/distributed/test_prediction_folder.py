"""The list of images in shards, against the images that one process finds."""

from pathlib import Path

import pytest
from hypothesis import example, given, settings, strategies as st
from PIL import Image

from runtime.distributed.prediction_folder import PredictionFolder
from runtime.model.image_files import find_images, iter_images

FILES = (
    "a.png",
    "b.png",
    "1/a.png",
    "1/a.tif",
    "1/c.png",
    "2/a.png",
    "2/1/a.png",
    "2/1/d.img",
    "2/1/d.png",
)
PATTERNS = ".", "1", "2", "*/a.png", "1/a.png", "2/1/d.img", "a.png", "link.png", "1/*"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scans")
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(root / name, "TIFF" if name.endswith("tif") else "PNG")
    (root / "link.png").symlink_to("b.png")
    return root


@given(st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3), st.integers(1, 9))
@example(["2", "2/1/d.img"], 2)  # named alone it is `d`, where the folder has a `1/d`
@settings(deadline=None, max_examples=40)
def test_the_list_is_what_one_process_finds(
    root: Path, tmp_path_factory: pytest.TempPathFactory, chosen: list[str], shard_size: int
) -> None:
    patterns = [str(root / pattern) for pattern in chosen]
    folder = PredictionFolder(tmp_path_factory.mktemp("list"))
    number, digest = folder.list_images(iter_images(patterns), shard_size)
    images = find_images(patterns)
    assert tuple(folder.all_images()) == images
    assert number == len(images)
    for start in range(0, number, shard_size):
        assert (
            folder.images(start, start + 2, shard_size)
            == (images[start : min(start + 2, start + shard_size)])
        )
    again = PredictionFolder(tmp_path_factory.mktemp("again"))
    assert again.list_images(images, 3) == (number, digest)
