"""The decoded data set: cached as uint8, memory-mapped, and cut into batches."""

import hashlib
import json
import os
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
from runtime.core.workers import map_ahead
from runtime.data.coco import Split
from runtime.data.images import SCALE, load_scan
from runtime.data.samples import MaskKind, Sample

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class DecodedSplit:
    """A split at one size, in memory-mapped arrays.

    Attributes:
        names: the images' file names.
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
    on_progress: ProgressCallback | None = None,
) -> DecodedSplit:
    """Return a split decoded at `size`, from the cache where it has an entry for it.

    An entry's key depends on the COCO file's content, on the images' names, sizes and times of
    change, on `size` and on the kind of masks.

    Args:
        cache: a folder; an entry is renamed when it is complete, so that no half one is read.
        on_progress: called with the number of images decoded and of all; not called where the
            cache has the split.

    Raises:
        ImageError, AnnotationError: a file of the split cannot be read.
        OutputError: the cache cannot be written.
    """
    entry = Path(cache) / f"{split.name}-{size}-{_key(split, size, masks)}"
    if not entry.is_dir():
        try:
            _build(split, size, masks, entry, on_progress)
        except OutputError:
            if not entry.is_dir():  # else another run has written the same entry meanwhile
                raise
    names = tuple(sample.file_name for sample in split.samples)
    # Mode "c" maps the file privately: PyTorch wants writable memory, and the file must not change.
    return DecodedSplit(
        names,
        np.load(entry / "images.npy", mmap_mode="c"),
        np.load(entry / "masks.npy", mmap_mode="c"),
    )


def _key(split: Split, size: int, masks: MaskKind) -> str:
    try:
        files = [(s.file_name, s.path.stat()) for s in split.samples]
    except OSError as error:
        raise ImageError(f"{error.filename}: image not found") from error
    facts = [_FORMAT, size, masks, [(name, s.st_size, s.st_mtime_ns) for name, s in files]]
    digest = hashlib.sha256(split.annotation_file.read_bytes())
    digest.update(json.dumps(facts).encode())
    return digest.hexdigest()[:16]


def _build(
    split: Split,
    size: int,
    masks: MaskKind,
    entry: Path,
    on_progress: ProgressCallback | None,
) -> None:
    def decode(sample: Sample) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        scan = load_scan(sample.path, (size, size))
        return scan.pixels, np.packbits(sample.mask((size, size), masks), axis=1)

    count, cores = len(split.samples), available_cores()
    shapes = {"images": (count, size, size, 3), "masks": (count, size, size // 8)}
    with replacing_folder(entry) as beside, ExitStack() as files:
        # Written and not mapped: writing to a mapped file on a full disk ends the process (SIGBUS).
        images, packed = (
            files.enter_context((beside / f"{name}.npy").open("wb")) for name in shapes
        )
        for file, shape in zip((images, packed), shapes.values(), strict=True):
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
        decoded = map_ahead(decode, split.samples, workers=cores, ahead=8 * cores)
        for index, (pixels, mask) in enumerate(decoded):
            images.write(pixels.tobytes())
            packed.write(mask.tobytes())
            if on_progress is not None:
                on_progress(Progress(index + 1, count, "decode"))
        for file in (images, packed):
            file.flush()
            os.fsync(file.fileno())


class Batches:
    """The batches of a decoded split, on a device.

    A CUDA device holds a copy of all uint8 arrays; on the CPU they stay memory-mapped. An image
    takes size * size * 3.125 bytes.
    """

    def __init__(self, split: DecodedSplit, batch_size: int, device: torch.device) -> None:
        self.names = split.names
        self.batch_size = batch_size
        self.device = device
        self._images = torch.from_numpy(split.images).to(device)
        self._masks = torch.from_numpy(split.masks).to(device)
        self._bits = torch.arange(7, -1, -1, dtype=torch.uint8, device=device)
        self._scale = float(SCALE)

    def __len__(self) -> int:
        return -(-len(self.names) // self.batch_size)

    def indices(self, shuffled_by: tuple[int, int] | None = None) -> list[NDArray[np.int64]]:
        """Return the images' indices by batch, int64: in order, or shuffled by (seed, epoch)."""
        count = len(self.names)
        order = np.arange(count)
        if shuffled_by is not None:
            order = np.random.default_rng(shuffled_by).permutation(count)
        return [order[i : i + self.batch_size] for i in range(0, count, self.batch_size)]

    def load(self, batches: list[NDArray[np.int64]]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images float32 [n, 3, H, W] in [0, 1] and masks float32 [n, 1, H, W] of 0 and 1.

        In memory, images are [n, H, W, 3] (channels last).
        """
        if not batches:
            return
        order = torch.from_numpy(np.concatenate(batches)).to(self.device, non_blocking=True)
        for index in torch.split(order, self.batch_size):
            images = self._images[index].permute(0, 3, 1, 2) * self._scale
            packed = self._masks[index]
            bits = (packed.unsqueeze(-1) >> self._bits) & 1
            yield images, bits.flatten(-2).unsqueeze(1).float()
