"""Weights that an encoder starts from: what can take them, and their origin."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from runtime.core.errors import CheckpointError


@dataclass(frozen=True, slots=True)
class EncoderWeights:
    """The origin of an encoder's weights.

    Attributes:
        source: as the file's metadata states it, or the file's name.
        sha256: of the file; empty for those that a library downloads and checks itself.
        stride_in_1x1: whether the network is ResNet v1, with its strides on the 1x1 convolutions.
        license: as the file's metadata states it under `license` or `licence`, or that of the
            library's own weights.
    """

    source: str
    sha256: str
    stride_in_1x1: bool
    license: str | None = None

    @property
    def identity(self) -> str:
        """A text that is equal for equal weights, wherever their file is."""
        return self.sha256 or self.source


class Pretrained(ABC):
    """An encoder, or a network with one, for which weights exist."""

    @abstractmethod
    def download(self) -> tuple[Mapping[str, Tensor], EncoderWeights]:
        """Return the library's own weights, from its cache or downloaded.

        Raises:
            CheckpointError: there are none, or the download failed.
        """

    @abstractmethod
    def load_backbone(self, state: Mapping[str, Tensor], where: str) -> None:
        """Load weights by the library's names, in place; those stored in float16 become float32.

        Args:
            where: their file, for messages.

        Raises:
            CheckpointError: they do not fit.
        """


def download_failed(library: str, error: Exception) -> CheckpointError:
    """Return the error of a download that failed."""
    return CheckpointError(
        f"encoder weights imagenet: {library}'s download failed ({error}); give a file "
        "with --encoder-weights FILE.safetensors, or start untrained with "
        "--encoder-weights none"
    )


def fitting(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], title: str, where: str
) -> dict[str, Tensor]:
    """Return weights in the types of those expected.

    Args:
        title: the network that they are for, such as "torchvision's resnet50".
        where: their file, for the message.

    Raises:
        CheckpointError: a name is missing or unknown, or a shape differs.

    Example:
        >>> fitting({"bias": Tensor([1])}, {"bias": Tensor([1, 2])}, "timm's", "a.pth")
        Traceback (most recent call last):
        ...
        runtime.core.errors.CheckpointError: a.pth: expected timm's weights, found a file that \
has another shape of bias
    """
    # PyTorch fills in these counts, which files from before version 0.4.1 do not have.
    optional = {name for name in expected if name.endswith("num_batches_tracked")}
    missing = sorted(expected.keys() - state.keys() - optional)
    unknown = sorted(state.keys() - expected.keys())
    shapes = [
        n for n in sorted(state.keys() & expected.keys()) if state[n].shape != expected[n].shape
    ]
    for names, fault in (
        (missing, "lacks"),
        (unknown, "has the unknown"),
        (shapes, "has another shape of"),
    ):
        if names:
            raise CheckpointError(
                f"{where}: expected {title} weights, found a file that {fault} {names[0]}"
            )
    return {name: value.to(expected[name].dtype) for name, value in state.items()}
