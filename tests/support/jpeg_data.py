"""A data set of JPEGs of 640x640, as the study's are, drawn anew."""

import json
from pathlib import Path

from PIL import Image

from runtime.data.coco import Dataset, read_dataset
from runtime.data.phantom import PhantomConfig, make_phantom


def make_jpeg_data(folder: Path, images: int) -> Dataset:
    """Draw a data set with `images` in its splits train and test, and save it as gray JPEGs."""
    config = PhantomConfig(train=images, valid=1, test=images, slices=1, size=640)
    make_phantom(folder, config)
    for path in sorted(folder.rglob("*.png")):
        with Image.open(path) as picture:
            picture.save(path.with_suffix(".jpg"), quality=90)
        path.unlink()
    for path in folder.rglob("*.json"):
        content = json.loads(path.read_text())
        for image in content["images"]:
            image["file_name"] = str(Path(image["file_name"]).with_suffix(".jpg"))
        path.write_text(json.dumps(content))
    return read_dataset(folder)
