"""PyTorch in eager mode, with the network from its checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING

from bench.backends.backend import OpenRequest
from runtime.core.errors import ConfigError

if TYPE_CHECKING:
    from bench.backends.worker import Floats, Inference


def open_eager(request: OpenRequest) -> "Inference":
    """Open PyTorch in eager mode, with its default memory format.

    Raises:
        ConfigError: the request has no checkpoint.
        CheckpointError: the checkpoint cannot be loaded.
    """
    return _open(request, channels_last=False)


def open_channels_last(request: OpenRequest) -> "Inference":
    """Open PyTorch with weights and input in the memory format channels-last.

    Raises:
        ConfigError, CheckpointError: as in `open_eager`.
    """
    return _open(request, channels_last=True)


def _open(request: OpenRequest, *, channels_last: bool) -> "Inference":
    if request.checkpoint is None:
        raise ConfigError("PyTorch cannot read ONNX files: give --checkpoint")
    import torch

    from train.checkpoint import build_network, load_checkpoint
    from train.run_folder import BEST

    torch.set_num_threads(request.threads)
    torch.set_num_interop_threads(1)
    given = Path(request.checkpoint)
    path = given / BEST if given.is_dir() else given
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    network = build_network(load_checkpoint(path), path).to(memory_format=memory_format)

    def infer(image: "Floats") -> "Floats":
        with torch.inference_mode():
            pixels = torch.from_numpy(image).to(memory_format=memory_format)
            probability: Floats = network(pixels).sigmoid().contiguous().numpy()
        return probability

    return infer
