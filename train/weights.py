"""Loading weights into a network: an encoder's pretrained ones, or a checkpoint's."""

import hashlib
from pathlib import Path

from torch import Tensor

from runtime.core.errors import CheckpointError
from runtime.core.files import found_instead
from train.encoders import ResNetEncoder
from train.network import SegmentationNetwork
from train.plain_load import plain_load
from train.pretrained import EncoderWeights, Pretrained


def load_encoder_weights(encoder: Pretrained, choice: str) -> EncoderWeights:
    """Load weights into an encoder, in place; those stored in float16 become float32.

    Args:
        choice: "imagenet" (downloaded by the encoder's library, or in its cache), or the path of a
            `.safetensors` or `.pth` file with that library's names. Weights that only a classifier
            needs are dropped.

    Raises:
        CheckpointError: the download failed, or the file cannot be read or does not fit.
    """
    state, record = encoder.download() if choice == "imagenet" else _read(Path(choice))
    encoder.load_backbone(state, choice)
    if record.stride_in_1x1:
        move_strides(encoder, choice)
    return record


def move_strides(encoder: object, where: str | Path) -> None:
    """Move an encoder's strides to its 1x1 convolutions, for weights marked `stride_in_1x1`.

    Args:
        where: the name of the marked file, for the message.

    Raises:
        CheckpointError: the encoder has no 1x1 convolutions to move them to.
    """
    if not isinstance(encoder, ResNetEncoder) or not encoder.has_bottlenecks:
        raise CheckpointError(f"{where}: stride_in_1x1 is possible for resnet50 only")
    encoder.move_strides_to_1x1()


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


def load_weights(
    network: SegmentationNetwork, weights: dict[str, Tensor], where: str | Path
) -> None:
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
