"""The type of the fixture `build_onnx`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class ModelBuilder(Protocol):
    """Writes a small ONNX file: a 1x1 convolution and a sigmoid, unless told otherwise."""

    def __call__(
        self,
        path: Path,
        *,
        shape: Sequence[int | str] = ("batch", 3, "height", "width"),
        channels: int = 1,
        activation: str = "Sigmoid",
        metadata: dict[str, str] | None = None,
        external: bool = False,
    ) -> Path: ...
