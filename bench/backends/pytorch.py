"""The network in PyTorch, as it was trained: eager mode, from its checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING

from bench.backends.backend import Job
from runtime.core.errors import ConfigError

if TYPE_CHECKING:
    from bench.backends.worker import Floats, Run


def open_eager(job: Job) -> "Run":
    """PyTorch in eager mode. Raises CheckpointError, and ConfigError where there is none."""
    return _open(job, channels_last=False)


def open_channels_last(job: Job) -> "Run":
    """The same, weights and input in PyTorch's memory format channels-last."""
    return _open(job, channels_last=True)


def _open(job: Job, *, channels_last: bool) -> "Run":
    if job.checkpoint is None:
        raise ConfigError("PyTorch cannot read ONNX files: give --checkpoint")
    import torch

    from train.checkpoint import BEST, build_network, load_checkpoint

    torch.set_num_threads(job.threads)
    torch.set_num_interop_threads(1)
    given = Path(job.checkpoint)
    path = given / BEST if given.is_dir() else given
    memory = torch.channels_last if channels_last else torch.contiguous_format
    network = build_network(load_checkpoint(path), path).to(memory_format=memory)

    def run(image: "Floats") -> "Floats":
        with torch.inference_mode():
            pixels = torch.from_numpy(image).to(memory_format=memory)
            probability: Floats = network(pixels).sigmoid().contiguous().numpy()
        return probability

    return run
