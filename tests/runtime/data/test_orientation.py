"""Images are turned upright, against Pillow."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from runtime.data.images import load_scan
from tests.support.pictures import encoded, noise, smooth


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("tag", range(1, 9))
def test_an_image_is_turned_upright_as_its_tag_says_in_every_format(kind: str, tag: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = tag
    options = {"lossless": True} if kind == "WEBP" else {}
    picture = Image.fromarray(noise(16, 32, 3)) if kind != "JPEG" else smooth(16, 32)
    content = encoded(picture, kind, exif=exif, **options)
    opened = Image.open(io.BytesIO(content))
    opened.load()
    upright = opened if kind == "TIFF" else ImageOps.exif_transpose(opened)
    scan = load_scan(content)
    np.testing.assert_array_equal(scan.pixels, np.asarray(upright.convert("RGB")))
    assert scan.original_size == ((32, 16) if tag >= 5 else (16, 32))
    small = load_scan(content, (8, 4)).pixels
    assert small.shape == (8, 4, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("tag", range(1, 9))
def test_an_image_of_the_stated_size_as_stored_is_not_turned(kind: str, tag: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = tag
    picture = smooth(16, 32)
    plain = encoded(picture, kind)
    turned = encoded(picture, kind, exif=exif)
    if tag >= 5:  # only then do the sizes tell
        scan = load_scan(turned, stated_size=(16, 32))
        np.testing.assert_array_equal(scan.pixels, load_scan(plain).pixels)
        assert scan.original_size == (16, 32)
    for stated in ((32, 16), (17, 40), None):
        upright = load_scan(turned, stated_size=stated)
        np.testing.assert_array_equal(upright.pixels, load_scan(turned).pixels)


def test_a_large_upright_jpeg_is_decoded_at_a_fraction_of_its_stored_size() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(smooth(128, 512), "JPEG", exif=exif)
    stored = Image.open(io.BytesIO(content))
    stored.draft("RGB", (128, 32))
    turned = stored.transpose(Image.Transpose.ROTATE_270)
    assert turned.size == (32, 128)
    np.testing.assert_array_equal(load_scan(content, (128, 32)).pixels, np.asarray(turned))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_damaged_exif_data_turn_nothing(kind: str) -> None:
    content = encoded(smooth(16, 32), kind, exif=b"Exif\0\0II*\0" + b"\xff" * 40)
    assert load_scan(content).original_size == (16, 32)
