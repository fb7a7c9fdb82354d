"""The memory that a training step needs, known before it is taken."""

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from runtime.core.errors import ConfigError
from runtime.core.machine import free_memory
from runtime.core.progress import counted
from train.state import TrainState

_LARGEST = 256
"""Height and width at which images are counted; larger ones take more in proportion.

A network that is built for one size is counted at that size."""
_MOMENTS = 2
"""Adam's, for each weight. Gradients of weights appear while the saved tensors are freed."""


def step_memory(state: TrainState, images: int) -> int:
    """Return the bytes that a training step of so many images takes at least, with the network.

    Counted are weights, the optimizer's moments, the tensors that a forward pass saves for the
    backward pass, and the largest gradient that this pass holds. Other buffers of a step come on
    top.

    Example:
        >>> from train.config import TrainConfig
        >>> from train.state import initialize_state
        >>> state = initialize_state(TrainConfig("scans", width=4, size=64), torch.device("cpu"))
        >>> step_memory(state, 32) > 20_000_000
        True
    """
    side = state.config.size
    if state.network.dynamic_size:
        side = min(side, _LARGEST - _LARGEST % state.network.multiple)
    (one, _), (two, largest) = (_saved(state, count, side) for count in (1, 2))
    each = two - one + largest // 2  # which is of two images
    weights = sum(parameter.nbytes for parameter in state.network.parameters())
    trained = sum(p.nbytes for group in state.optimizer.param_groups for p in group["params"])
    fixed = weights + _MOMENTS * trained + one - (two - one)
    return int(fixed + images * each * (state.config.size / side) ** 2)


def ensure_step_fits(state: TrainState, images: int) -> None:
    """Raise ConfigError where a step of a run on so many images cannot fit into memory."""
    config, device = state.config, state.device
    batch = min(config.batch_size, images)
    needed = step_memory(state, batch)
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory()
    if free is not None and needed > free:
        raise ConfigError(
            f"batch_size: a step of {counted(batch, 'image')} at {config.size}x{config.size} needs "
            f"at least {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free; give a "
            "smaller --batch-size"
        )


def _saved(state: TrainState, images: int, side: int) -> tuple[int, int]:
    """Return the bytes that a forward pass saves, and those of its largest tensor.

    In eval mode, which saves the same and changes neither statistics nor random generators.
    """
    tensors: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        tensors[tensor.untyped_storage()._cdata] = tensor
        return tensor

    layout = torch.channels_last if state.config.channels_last else torch.contiguous_format
    shape = images, 3, side, side
    network, was_training = state.network, state.network.training
    scans = torch.zeros(shape, device=state.device).contiguous(memory_format=layout)
    with (
        saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast(state.device.type, torch.bfloat16, enabled=state.config.precision == "bf16"),
    ):
        network.eval()(scans)
    network.train(was_training)
    own = {parameter.untyped_storage()._cdata for parameter in network.parameters()}
    sizes = [t.untyped_storage().nbytes() for key, t in tensors.items() if key not in own]
    return sum(sizes), max(sizes)
