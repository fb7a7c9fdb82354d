"""Pretrained weights of an encoder: torchvision's own, or a file with torchvision's names."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

from torch import Tensor

from runtime.core.errors import CheckpointError
from runtime.core.files import found_instead
from train.encoders import Encoder, ResNetEncoder, TorchvisionEncoder
from train.plain_load import plain_load


@dataclass(frozen=True, slots=True)
class EncoderWeights:
    """Where an encoder's weights come from.

    Attributes:
        source: what the file's metadata says, or its name.
        sha256: of the file; empty for torchvision's own, whose hash torchvision checks.
        stride_in_1x1: whether the network is ResNet v1, with its strides on the 1x1 convolutions.
        license: what the file's metadata says under `license` or `license`.
    """

    source: str
    sha256: str
    stride_in_1x1: bool
    license: str | None = None


def load_encoder_weights(encoder: TorchvisionEncoder, choice: str) -> EncoderWeights:
    """Load weights into an encoder, in place; those stored in float16 become float32.

    Args:
        choice: "imagenet" (downloaded by torchvision, or in its cache), or the path of a
            `.safetensors` or `.pth` file with torchvision's names. What only a classifier needs is
            left aside.

    Raises:
        CheckpointError: the download failed, or the file cannot be read or does not fit.
    """
    if choice == "imagenet":
        state, record = _download(encoder.model)
    else:
        state, record = _read(Path(choice))
    expected = encoder.backbone.state_dict()
    state = {
        name: value for name, value in state.items() if not name.startswith(encoder.left_aside)
    }
    _check(choice, encoder.model, state, expected)
    encoder.backbone.load_state_dict({k: v.to(expected[k].dtype) for k, v in state.items()})
    if record.stride_in_1x1:
        move_strides(encoder, choice)
    return record


def move_strides(encoder: Encoder, where: str | Path) -> None:
    """Give an encoder the strides of weights that are marked `stride_in_1x1`.

    Args:
        where: the name of what is marked so, for the message.

    Raises:
        CheckpointError: the encoder has no 1x1 convolutions to move them to.
    """
    if not isinstance(encoder, ResNetEncoder) or not encoder.has_bottlenecks:
        raise CheckpointError(
            f"{where}: expected stride_in_1x1 of resnet50 alone, found it of another encoder"
        )
    encoder.move_strides_to_1x1()


def _download(model: str) -> tuple[dict[str, Tensor], EncoderWeights]:
    from torchvision.models import get_model_weights

    weights = get_model_weights(model)["IMAGENET1K_V1"]
    try:
        state = weights.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        raise CheckpointError(
            f"encoder weights imagenet: torchvision's download failed ({error}); give a file "
            "with --encoder-weights FILE.safetensors, or start untrained with "
            "--encoder-weights none"
        ) from error
    return dict(state), EncoderWeights(f"torchvision {weights}", "", stride_in_1x1=False)


def _read(path: Path) -> tuple[dict[str, Tensor], EncoderWeights]:
    if (found := found_instead(path)) is not None:
        raise CheckpointError(f"{path}: expected encoder weights, found {found}")
    metadata: dict[str, str] = {}
    try:
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        else:
            state = plain_load(path)
    except (ValueError, OSError) as error:
        raise CheckpointError(
            f"{path}: expected encoder weights (.safetensors, or .pth of plain tensors), "
            "found something else"
        ) from error
    except Exception as error:
        # safetensors raises its own SafetensorError, which derives from Exception alone.
        if type(error).__name__ != "SafetensorError":
            raise
        raise CheckpointError(f"{path}: expected a safetensors file, found {error}") from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(f"{path}: expected a dictionary of tensors, found something else")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    strides = metadata.get("stride_in_1x1", "false").lower() == "true"
    terms = metadata.get("license", metadata.get("licence"))
    return state, EncoderWeights(metadata.get("source", path.name), digest, strides, terms)


def _check(choice: str, model: str, state: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
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
    for name in optional - state.keys():
        state[name] = expected[name]
