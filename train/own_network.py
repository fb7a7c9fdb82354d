"""A user's own network, by the name of the function that makes it."""

import sys
from importlib import import_module
from pathlib import Path

from torch import Tensor, nn

from runtime.core.errors import ConfigError, first_line
from train.network import SegmentationNetwork


class OwnNetwork(SegmentationNetwork):
    """The network that a function of the user's returns.

    Args:
        arch: "MODULE:FUNCTION"; the module is imported from the current folder or from what is
            installed. The function takes the width and returns a `torch.nn.Module` that turns
            images, float [N, 3, H, W] in [0, 1], into logits [N, 1, H, W]. The module may have an
            attribute `multiple` (pixels; the input's height and width must be multiples of it),
            which states that it takes inputs of other sizes too, and an attribute `encoder`, the
            part that `--freeze-encoder` freezes.
        size: has no effect.

    Raises:
        ConfigError: the module cannot be imported, or the function fails or returns no module.
    """

    def __init__(self, arch: str, width: int, size: int) -> None:
        super().__init__(arch, width)
        self.module = _call(arch, width)
        multiple = getattr(self.module, "multiple", None)
        self.dynamic_size = isinstance(multiple, int) and multiple > 0
        self.multiple = multiple if isinstance(multiple, int) and multiple > 0 else 1

    @property
    def encoder(self) -> nn.Module | None:  # type: ignore[override]
        """The module's part of this name."""
        part = getattr(self.module, "encoder", None)
        return part if isinstance(part, nn.Module) else None

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [N, 1, H, W] of images, float [N, 3, H, W] in [0, 1]."""
        return self.module(images)  # type: ignore[no-any-return]


def _call(arch: str, width: int) -> nn.Module:
    module_name, name = arch.split(":")
    # A command's own folder is on the path, and not the user's.
    sys.path.insert(0, str(Path.cwd()))
    try:
        make = getattr(import_module(module_name), name, None)
    except Exception as error:  # whatever the user's module raises
        raise ConfigError(
            f"arch {arch}: cannot import {module_name} ({first_line(error)})"
        ) from error
    finally:
        sys.path.pop(0)
    if not callable(make):
        raise ConfigError(f"arch {arch}: {module_name} has no function {name}")
    try:
        module = make(width)
    except Exception as error:  # whatever the user's function raises
        raise ConfigError(f"arch {arch}: {name}({width}) failed ({first_line(error)})") from error
    if not isinstance(module, nn.Module):
        raise ConfigError(
            f"arch {arch}: expected a torch.nn.Module from {name}({width}), found "
            f"{type(module).__name__}"
        )
    return module
