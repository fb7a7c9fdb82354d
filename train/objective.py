"""A batch's loss, and what its metrics need: the part of a step that can be compiled."""

from collections.abc import Callable

import torch
from torch import Tensor

from runtime.core.errors import ConfigError
from train.config import TrainConfig
from train.losses import LOSSES
from train.network import UNet

Objective = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From images float32 [n, 3, H, W] in [0, 1] and masks float32 [n, 1, H, W] of 0 and 1 to the loss,
a scalar, and to the sums over each image's pixels of the mask y, the probability p, and y p,
float64 [n, 3]. Nothing in it waits for the device."""


def make_objective(
    network: UNet, config: TrainConfig, device: torch.device, dtype: torch.dtype
) -> Objective:
    """Return what `network` is trained by; it computes as `network` stands when it is called.

    Where `config.compile` asks for it, `torch.compile` makes one graph of network, loss and sums
    for training and one for validation, when each is first needed. A split's last batch, where it
    is smaller, is not worth graphs of its own.

    Args:
        dtype: of the network's arithmetic; the loss is float32.

    Raises, when it is called:
        ConfigError: it cannot be compiled on this machine.
    """
    compute_loss = LOSSES[config.loss].compute

    def objective(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            logits = network(images)
        return compute_loss(logits.float(), masks), _image_sums(logits.detach(), masks)

    return _compiled(objective, config.batch_size) if config.compile else objective


def _compiled(objective: Objective, batch_size: int) -> Objective:
    # What was compiled for other networks counts towards a limit, beyond which nothing is compiled.
    torch.compiler.reset()
    run = torch.compile(objective, fullgraph=True, dynamic=False)

    def checked(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        if len(images) < batch_size:
            return objective(images, masks)
        try:
            return run(images, masks)
        except torch._dynamo.exc.TorchDynamoException as error:
            cause = str(error).strip().splitlines()[0]
            raise ConfigError(
                f"compile: expected a machine where torch.compile works, found: {cause}"
            ) from error

    return checked


def _image_sums(logits: Tensor, masks: Tensor) -> Tensor:
    probability = logits.float().sigmoid()
    stacked = torch.stack([masks, probability, masks * probability])
    return stacked.flatten(2).sum(dim=2, dtype=torch.float64).T
