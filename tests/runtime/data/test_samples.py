"""A sample's image: turned as its COCO file states its size, and of the stated proportions."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runtime.core.errors import ImageError
from runtime.data.images import load_scan
from runtime.data.samples import Sample


def sample_of(path: Path, width: int, height: int) -> Sample:
    return Sample(path, path.name, width, height, ())


def test_an_image_is_taken_as_stored_where_the_stated_size_is_the_stored_one(
    tmp_path: Path,
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.random.default_rng(0).integers(0, 256, (16, 32), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    stored = sample_of(tmp_path / "a.png", 32, 16).load()
    np.testing.assert_array_equal(stored.pixels[..., 0], pixels)
    upright = sample_of(tmp_path / "a.png", 16, 32).load()
    np.testing.assert_array_equal(upright.pixels, load_scan(tmp_path / "a.png").pixels)
    assert (stored.original_size, upright.original_size) == ((16, 32), (32, 16))


@pytest.mark.parametrize(("height", "fits"), [(164, False), (166, True), (167, True), (169, False)])
def test_the_proportions_of_a_smaller_image_are_the_stated_ones_but_for_rounding(
    tmp_path: Path, height: int, fits: bool
) -> None:
    """Half of 1000x333 pixels is 500x166.5, which programs round up or down."""
    Image.new("L", (500, height)).save(tmp_path / "a.png")
    sample = sample_of(tmp_path / "a.png", 1000, 333)
    if fits:
        assert sample.load().original_size == (height, 500)
    else:
        with pytest.raises(ImageError, match="the annotations do not fit this image"):
            sample.load()
