"""Files of several images."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from runtime.core.errors import ImageError
from runtime.data.images import load_scan
from tests.support.pictures import Pixels, encoded, noise, smooth, tiff


def frames_of(kind: str) -> tuple[bytes, list[Pixels]]:
    pictures = [noise(12, 10, 3, seed=seed) for seed in range(3)]
    first, *others = (Image.fromarray(picture) for picture in pictures)
    options = {"lossless": True} if kind == "WEBP" else {}
    return encoded(first, kind, save_all=True, append_images=others, **options), pictures


@pytest.mark.parametrize("kind", ["TIFF", "PNG", "WEBP"])
def test_a_file_of_several_images_needs_a_choice(kind: str) -> None:
    content, pictures = frames_of(kind)
    with pytest.raises(ImageError, match=r"a file of 3 images, .* choose it with --frame"):
        load_scan(content)
    for number, picture in enumerate(pictures, 1):
        np.testing.assert_array_equal(load_scan(content, frame=number).pixels, picture)
    for number in (0, 4):
        with pytest.raises(ImageError, match=f"no frame {number}, the frames are 1 to 3"):
            load_scan(content, frame=number)


@pytest.mark.parametrize("kind", ["TIFF", "PNG", "WEBP", "JPEG", "BMP"])
def test_the_only_image_of_a_file_is_its_first_frame(kind: str) -> None:
    content = encoded(smooth(12, 10), kind)
    np.testing.assert_array_equal(load_scan(content, frame=1).pixels, load_scan(content).pixels)


@pytest.mark.parametrize(("kind", "frames"), [(0, 2), (1, 1), (4, 1)])
def test_smaller_versions_and_masks_of_a_tiffs_page_are_no_frames(kind: int, frames: int) -> None:
    first = tiff(np.full((12, 10), 65535, np.uint16))
    second = tiff(np.full((12, 10), 65535, np.uint16), subfile_type=kind)
    directory = second[struct.unpack_from("<I", second, 4)[0] :]  # its pixels are the first page's
    content = first[:-4] + struct.pack("<I", len(first)) + directory
    assert Image.open(io.BytesIO(content)).n_frames == 2  # type: ignore[attr-defined]
    assert load_scan(content, frame=frames).original_size == (12, 10)
    with pytest.raises(ImageError, match=f"the frames are 1 to {frames}"):
        load_scan(content, frame=frames + 1)


@pytest.mark.parametrize(
    ("description", "images"),
    [
        ("ImageJ=1.53t\nimages=120\nslices=120\nloop=false\n", 120),
        ("ImageJ=1.53t\nimages=1\n", 1),
        ("ImageJ=1.53t\nunit=mm\n", 1),
        ("a scan with\nimages=120\n", 1),
    ],
)
def test_an_imagej_stack_in_one_page_is_no_single_image(description: str, images: int) -> None:
    picture = noise(12, 10)
    content = encoded(Image.fromarray(picture), "TIFF", description=description)
    np.testing.assert_array_equal(load_scan(content, frame=1).pixels[..., 0], picture)
    if images > 1:
        with pytest.raises(ImageError, match=f"an ImageJ stack of {images} images"):
            load_scan(content)
    else:
        np.testing.assert_array_equal(load_scan(content).pixels[..., 0], picture)


def test_a_tiff_whose_pages_form_a_ring_ends() -> None:
    content = bytearray(tiff(np.full((2, 2), 65535, np.uint16)))
    content[-4:] = content[4:8]
    assert load_scan(bytes(content)).original_size == (2, 2)
