"""Loading weights into a network: an encoder's pretrained ones, or a checkpoint's."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

from torch import Tensor

from runtime.core.errors import CheckpointError
from runtime.core.files import found_instead
from train.architectures import Architecture
from train.encoders import Encoder, ResNetEncoder, TorchvisionEncoder
from train.network import UNet
from train.plain_load import plain_load


@dataclass(frozen=True, slots=True)
class EncoderWeights:
    """The origin of an encoder's weights.

    Attributes:
        source: as the file's metadata states it, or the file's name.
        sha256: of the file; empty for torchvision's own, whose hash torchvision checks.
        stride_in_1x1: whether the network is ResNet v1, with its strides on the 1x1 convolutions.
        license: as the file's metadata states it under `license` or `licence`, or that of
            torchvision's own weights.
    """

    source: str
    sha256: str
    stride_in_1x1: bool
    license: str | None = None

    @property
    def identity(self) -> str:
        """A text that is equal for equal weights, wherever their file is."""
        return self.sha256 or self.source


def load_encoder_weights(encoder: TorchvisionEncoder, choice: str) -> EncoderWeights:
    """Load weights into an encoder, in place; those stored in float16 become float32.

    Args:
        choice: "imagenet" (downloaded by torchvision, or in its cache), or the path of a
            `.safetensors` or `.pth` file with torchvision's names. Weights that only a classifier
            needs are dropped.

    Raises:
        CheckpointError: the download failed, or the file cannot be read or does not fit.
    """
    if choice == "imagenet":
        state, record = _download(encoder.architecture)
    else:
        state, record = _read(Path(choice))
    expected = encoder.backbone.state_dict()
    state = {
        name: value
        for name, value in state.items()
        if not name.startswith(encoder.classifier_prefixes)
    }
    _check(choice, encoder.model, state, expected)
    encoder.backbone.load_state_dict({k: v.to(expected[k].dtype) for k, v in state.items()})
    if record.stride_in_1x1:
        move_strides(encoder, choice)
    return record


def move_strides(encoder: Encoder, where: str | Path) -> None:
    """Move an encoder's strides to its 1x1 convolutions, for weights marked `stride_in_1x1`.

    Args:
        where: the name of the marked file, for the message.

    Raises:
        CheckpointError: the encoder has no 1x1 convolutions to move them to.
    """
    if not isinstance(encoder, ResNetEncoder) or not encoder.has_bottlenecks:
        raise CheckpointError(f"{where}: stride_in_1x1 is possible for resnet50 only")
    encoder.move_strides_to_1x1()


def _download(architecture: Architecture) -> tuple[dict[str, Tensor], EncoderWeights]:
    from torchvision.models import get_model_weights

    assert architecture.backbone is not None
    weights = get_model_weights(architecture.backbone)[architecture.weights]
    try:
        state = weights.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        raise CheckpointError(
            f"encoder weights imagenet: torchvision's download failed ({error}); give a file "
            "with --encoder-weights FILE.safetensors, or start untrained with "
            "--encoder-weights none"
        ) from error
    return dict(state), EncoderWeights(
        f"torchvision {weights}", "", stride_in_1x1=False, license=architecture.weights_license
    )


def _read(path: Path) -> tuple[dict[str, Tensor], EncoderWeights]:
    if (found := found_instead(path)) is not None:
        raise CheckpointError(f"{path}: expected encoder weights, found {found}")
    if path.suffix == ".safetensors":
        state, metadata = _read_safetensors(path)
    else:
        state, metadata = _read_pickle(path), {}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    strides = metadata.get("stride_in_1x1", "false").lower() == "true"
    terms = metadata.get("license", metadata.get("licence"))
    return state, EncoderWeights(metadata.get("source", path.name), digest, strides, terms)


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (SafetensorError, ValueError, OSError) as error:
        raise CheckpointError(f"{path}: expected a safetensors file, found {error}") from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        state = plain_load(path)
    except ValueError as error:
        raise CheckpointError(
            f"{path}: expected encoder weights (.safetensors, or .pth of plain tensors), "
            "found another file"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(f"{path}: not a dictionary of tensors")
    return state


def _check(choice: str, model: str, state: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    # PyTorch fills in these counts, which files from before version 0.4.1 do not have.
    optional = {name for name in expected if name.endswith("num_batches_tracked")}
    missing = sorted(expected.keys() - state.keys() - optional)
    unknown = sorted(state.keys() - expected.keys())
    shapes = [
        n for n in sorted(state.keys() & expected.keys()) if state[n].shape != expected[n].shape
    ]
    for names, what in (
        (missing, "lacks"),
        (unknown, "has the unknown"),
        (shapes, "has another shape of"),
    ):
        if names:
            raise CheckpointError(
                f"{choice}: expected torchvision's {model} weights, found a file that {what} "
                f"{names[0]}"
            )


def load_weights(network: UNet, weights: dict[str, Tensor], where: str | Path) -> None:
    """Load a network's state dictionary. Raises CheckpointError where it does not fit."""
    try:
        network.load_state_dict(weights)
    except (RuntimeError, AttributeError, TypeError) as error:
        raise misfit(network.arch, network.width, where) from error


def misfit(arch: str, width: int, where: str | Path) -> CheckpointError:
    """Return the error of weights that do not fit an architecture."""
    return CheckpointError(
        f"{where}: expected the weights of {arch} at width {width}, found those of another "
        "architecture"
    )
