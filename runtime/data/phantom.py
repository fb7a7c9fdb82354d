"""The embedded data set: synthetic head scans that need no download.

Each split shows other people, and each person has one lesion. The data set is for trying out the
tools, not for medical conclusions. `runtime.data.phantom_drawing` draws the scans.
"""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from runtime.core.files import replacing_folder
from runtime.core.json_files import write_json
from runtime.core.progress import Progress, ProgressCallback
from runtime.data.configs import PhantomConfig as PhantomConfig
from runtime.data.phantom_drawing import Floats, Person, draw_slice

CATEGORIES = ((1, "bright"), (2, "dark"))


def make_phantom(
    folder: str | Path,
    config: PhantomConfig | None = None,
    *,
    on_progress: ProgressCallback | None = None,
) -> Path:
    """Write the phantom data set in Roboflow's COCO layout, completely or not at all.

    The same config gives the same pixels. Images are 8-bit gray PNG files.

    Args:
        on_progress: called after each person, with numbers of images.

    Returns:
        The folder.

    Raises:
        OutputError: `folder` exists and is not empty, or cannot be written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as parent:
        ...     config = PhantomConfig(train=1, valid=1, test=1, slices=2, size=32)
        ...     folder = make_phantom(f"{parent}/phantom", config)
        ...     sorted(path.name for path in (folder / "train").iterdir())
        ['_annotations.coco.json', 'person000_slice0.png', 'person000_slice1.png']
    """
    config = config or PhantomConfig()
    target = Path(folder)
    people = {"train": config.train, "valid": config.valid, "test": config.test}
    total = sum(people.values()) * config.slices
    with replacing_folder(target) as beside:
        person = 0
        for split, count in people.items():
            writer = _SplitWriter(beside / split, config)
            for _ in range(count):
                writer.add_person(person)
                person += 1
                if on_progress is not None:
                    on_progress(Progress(person * config.slices, total))
            writer.finish()
    return target


def ensure_phantom(folder: str | Path, *, on_progress: ProgressCallback | None = None) -> Path:
    """Return `folder`; if it does not exist, make the default phantom there. Raises OutputError."""
    target = Path(folder)
    return target if target.exists() else make_phantom(target, on_progress=on_progress)


class _SplitWriter:
    def __init__(self, folder: Path, config: PhantomConfig) -> None:
        self.folder = folder
        self.config = config
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        folder.mkdir()

    def add_person(self, number: int) -> None:
        rng = np.random.default_rng([self.config.seed, number])
        person = Person.draw(rng)
        depths = np.linspace(-0.8, 0.8, self.config.slices) if self.config.slices > 1 else [0.0]
        for index, depth in enumerate(depths):
            pixels, contour = draw_slice(person, float(depth), self.config.size, rng)
            name = f"person{number:03d}_slice{index}.png"
            Image.fromarray(pixels).save(self.folder / name)
            self._note(name, contour, 1 if person.lesion_level > 0.5 else 2)

    def _note(self, name: str, contour: Floats, category: int) -> None:
        identity, size = len(self.images), self.config.size
        low, high = contour.min(axis=0), contour.max(axis=0)
        x, y, width, height = (round(float(v), 2) for v in (*low, *(high - low)))
        self.images.append({"id": identity, "file_name": name, "width": size, "height": size})
        self.annotations.append(
            {
                "id": identity,
                "image_id": identity,
                "category_id": category,
                "bbox": [x, y, width, height],
                "area": round(_polygon_area(contour), 2),
                "segmentation": [[round(float(v), 2) for v in contour.ravel()]],
                "iscrowd": 0,
            }
        )

    def finish(self) -> None:
        write_json(
            self.folder / "_annotations.coco.json",
            {
                "info": {
                    "description": "Synthetic head scans, no patient's data",
                    "seed": self.config.seed,
                },
                "licenses": [{"id": 1, "name": "CC0 1.0", "url": ""}],
                "categories": [
                    {"id": i, "name": n, "supercategory": "lesion"} for i, n in CATEGORIES
                ],
                "images": self.images,
                "annotations": self.annotations,
            },
        )


def _polygon_area(points: Floats) -> float:
    x, y = points.T
    return 0.5 * abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))))
