"""Loading untrusted files of `torch.save`."""

import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch


def plain_load(path: Path) -> Any:
    """Return the content of a file of `torch.save`, on the CPU, without running code from it.

    Raises:
        ValueError: the file is damaged, of another kind, would run code, or would take more memory
            than its size.
    """
    try:
        _check_archive(path)
        with warnings.catch_warnings():
            # PyTorch warns of odd pickle protocols; such a file is refused or harmless.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can make the unpickler raise anything
        raise ValueError(f"{path}: not a file of plain tensors ({error})") from error


def _check_archive(path: Path) -> None:
    """Raise ValueError where the parts of an archive are damaged, or larger than the file.

    `torch.save` compresses nothing and writes each part once; a forged zip file may not. It also
    writes checksums of the parts (CRC-32), which `torch.load` ignores.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        held = sum(part.file_size for part in archive.infolist())
        if held > path.stat().st_size:
            raise ValueError(f"parts of {held} bytes, more than the file has")
        if (damaged := archive.testzip()) is not None:  # reads them in pieces
            raise ValueError(f"part {damaged} is damaged")
