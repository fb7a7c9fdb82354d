"""`torch.load` for files that are not trusted."""

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch


def plain_load(path: Path) -> Any:
    """Return what a file of `torch.save` holds, on the CPU, without running code from it.

    Raises:
        ValueError: the file is damaged, is something else, or would run code.
    """
    try:
        with warnings.catch_warnings():
            # Of odd pickle protocols: such a file is refused or not, there is nothing to add.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, KeyError, EOFError, OSError) as error:
        raise ValueError(f"{path}: not a file of plain tensors ({error})") from error
