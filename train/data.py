"""The decoded data set: cached as uint8, memory-mapped, and cut into batches."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runtime.core.errors import ImageError, OutputError
from runtime.core.files import replacing_folder
from runtime.core.machine import available_cores
from runtime.core.progress import Progress, ProgressCallback
from runtime.core.settings import Resize
from runtime.core.workers import map_ahead
from runtime.data.framing import Framing, Windows
from runtime.data.resizing import SCALE
from runtime.data.samples import MaskKind, Sample
from runtime.data.split import Split
from train.targets import training_framing, windows_of

_FORMAT = 3
"""Version 1 had images as stored, and 16-bit levels always divided by 257. Version 2 had masks with
annotations that are to be ignored."""


@dataclass(frozen=True, slots=True)
class DecodedSplit:
    """A split at one size, in memory-mapped arrays.

    Attributes:
        names: the images' file names; with windows, an image is there once for each.
        images: RGB, uint8 [images, size, size, 3].
        masks: uint8 [images, size, size / 8], eight pixels a byte, the first in the highest bit.
    """

    names: tuple[str, ...]
    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]


def decode_split(
    split: Split,
    size: int,
    masks: MaskKind,
    cache: str | Path,
    *,
    resize: Resize = "stretch",
    on_progress: ProgressCallback | None = None,
) -> DecodedSplit:
    """Return a split decoded at `size`, from the cache where it has an entry for it.

    An entry that is incomplete or damaged is made again; cleaners of temporary folders leave such.
    An entry's key depends on the COCO file's content, on the images' names, sizes and times of
    change, on `size`, on the kind of masks, on the chosen categories, on the white level and on how
    images are resized.

    Args:
        resize: with "tile", each window of an image is an entry of its own.
        cache: a folder; an entry is renamed when it is complete, so that no half one is read.
        on_progress: called with the number of images decoded and of all; not called where the
            cache has the split.

    Raises:
        ImageError, AnnotationError: a file of the split cannot be read.
        OutputError: the cache cannot be written.
    """
    framing = training_framing(size, resize)
    entry = Path(cache) / f"{split.name}-{size}-{_key(split, framing, masks)}"
    found = _read(split, framing, entry)
    if found is not None:
        return found
    try:
        shutil.rmtree(entry, ignore_errors=True)
        _build(split, framing, masks, entry, on_progress)
    except OutputError:
        if _read(split, framing, entry) is None:  # else another run has written it meanwhile
            raise
    built = _read(split, framing, entry)
    if built is None:
        raise OutputError(f"{entry}: removed or changed while it was being used")
    return built


def _shapes(count: int, framing: Framing) -> dict[str, tuple[int, ...]]:
    """Return the shape of each array of an entry of `count` windows, by the name of its file."""
    height, width = framing.size
    return {"images": (count, height, width, 3), "masks": (count, height, width // 8)}


def _read(split: Split, framing: Framing, entry: Path) -> DecodedSplit | None:
    """Map the arrays of an entry; None where it is missing, incomplete or damaged."""
    names = [s.file_name for s in split.samples for _ in range(windows_of(s, framing).count)]
    arrays = []
    for name, shape in _shapes(len(names), framing).items():
        try:
            # Mode "c" maps the file privately: PyTorch wants writable memory, and the file must not
            # change.
            array = np.load(entry / f"{name}.npy", mmap_mode="c")
        except (OSError, ValueError, EOFError):
            return None
        if array.shape != shape or array.dtype != np.uint8:
            return None
        arrays.append(array)
    return DecodedSplit(tuple(names), *arrays)


def _key(split: Split, framing: Framing, masks: MaskKind) -> str:
    try:
        files = [(s.file_name, s.intensity, s.path.stat()) for s in split.samples]
    except OSError as error:
        raise ImageError(f"{error.filename}: image not found") from error
    facts = [
        _FORMAT,
        framing.size[0],
        masks,
        split.categories,
        [(name, white, s.st_size, s.st_mtime_ns) for name, white, s in files],
        *([] if framing.resize == "stretch" else [framing.resize]),
    ]
    digest = hashlib.sha256(split.annotation_file.read_bytes())
    digest.update(json.dumps(facts).encode())
    return digest.hexdigest()[:16]


def _build(
    split: Split,
    framing: Framing,
    masks: MaskKind,
    entry: Path,
    on_progress: ProgressCallback | None,
) -> None:
    def decode(sample: Sample) -> tuple[Windows, NDArray[np.uint8], NDArray[np.uint8]]:
        windows = windows_of(sample, framing)
        return windows, sample.load(windows.scaled).pixels, sample.mask(windows.scaled, masks)

    count, cores = len(split.samples), available_cores()
    shapes = _shapes(sum(windows_of(s, framing).count for s in split.samples), framing)
    with replacing_folder(entry) as beside, ExitStack() as files:
        # Written and not mapped: writing to a mapped file on a full disk ends the process (SIGBUS).
        images, packed = (
            files.enter_context((beside / f"{name}.npy").open("wb")) for name in shapes
        )
        for file, shape in zip((images, packed), shapes.values(), strict=True):
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
        decoded = map_ahead(decode, split.samples, workers=cores, ahead=8 * cores)
        for index, (windows, pixels, mask) in enumerate(decoded):
            for number in range(windows.count):
                images.write(windows.cut(pixels, number).tobytes())
                packed.write(np.packbits(windows.cut(mask, number), axis=1).tobytes())
            if on_progress is not None:
                on_progress(Progress(index + 1, count, "decode"))
        for file in (images, packed):
            file.flush()
            os.fsync(file.fileno())


class Batches:
    """The batches of a decoded split, on a device.

    A CUDA device holds a copy of all uint8 arrays; on the CPU they stay memory-mapped. An image
    takes size * size * 3.125 bytes.

    Args:
        smallest: fewest images of a batch (`TrainConfig.smallest_batch`); a last batch of fewer
            joins the one before.
    """

    def __init__(
        self, split: DecodedSplit, batch_size: int, device: torch.device, *, smallest: int = 1
    ) -> None:
        self.names = split.names
        self.batch_size = batch_size
        self.device = device
        self._images = torch.from_numpy(split.images).to(device)
        self._masks = torch.from_numpy(split.masks).to(device)
        self._bits = torch.arange(7, -1, -1, dtype=torch.uint8, device=device)
        self._scale = float(SCALE)
        self._smallest = smallest

    def __len__(self) -> int:
        return len(self._starts())

    def indices(self, shuffled_by: tuple[int, int] | None = None) -> list[NDArray[np.int64]]:
        """Return the images' indices by batch, int64: in order, or shuffled by (seed, epoch)."""
        count = len(self.names)
        order = np.arange(count)
        if shuffled_by is not None:
            order = np.random.default_rng(shuffled_by).permutation(count)
        return np.split(order, self._starts()[1:])

    def _starts(self) -> list[int]:
        """Return where in the order each batch starts."""
        count = len(self.names)
        starts = list(range(0, count, self.batch_size))
        if len(starts) > 1 and count - starts[-1] < self._smallest:
            starts.pop()
        return starts

    def load(self, batches: list[NDArray[np.int64]]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images float32 [n, 3, H, W] in [0, 1] and masks float32 [n, 1, H, W] of 0 and 1.

        In memory, images are [n, H, W, 3] (channels last).
        """
        if not batches:
            return
        order = torch.from_numpy(np.concatenate(batches)).to(self.device, non_blocking=True)
        for index in torch.split(order, [len(batch) for batch in batches]):
            images = self._images[index].permute(0, 3, 1, 2) * self._scale
            packed = self._masks[index]
            bits = (packed.unsqueeze(-1) >> self._bits) & 1
            yield images, bits.flatten(-2).unsqueeze(1).float()
