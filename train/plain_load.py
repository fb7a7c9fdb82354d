"""`torch.load` for files that are not trusted."""

import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch


def plain_load(path: Path) -> Any:
    """Return what a file of `torch.save` holds, on the CPU, without running code from it.

    Raises:
        ValueError: the file is damaged, is something else, would run code, or would take more
            memory than its size tells.
    """
    try:
        _check_archive(path)
        with warnings.catch_warnings():
            # Of odd pickle protocols: such a file is refused or not, there is nothing to add.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can make the unpickler raise anything
        raise ValueError(f"{path}: not a file of plain tensors ({error})") from error


def _check_archive(path: Path) -> None:
    """Raise ValueError where the parts of an archive are damaged, or hold more than the file.

    `torch.save` compresses nothing and writes each part once; a zip file could do otherwise. It
    also writes their checksums (CRC-32), which `torch.load` does not look at.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        held = sum(part.file_size for part in archive.infolist())
        if held > path.stat().st_size:
            raise ValueError(f"expected parts no larger than the file, found {held} bytes of them")
        if (damaged := archive.testzip()) is not None:  # reads them in pieces
            raise ValueError(f"expected whole parts, found {damaged} damaged")
