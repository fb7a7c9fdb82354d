"""The objective: the loss of a batch and the sums behind its metrics. It can be compiled."""

from collections.abc import Callable

import torch
from torch import Tensor

from runtime.core.errors import ConfigError
from runtime.metrics import THRESHOLD
from train.config import TrainConfig
from train.losses import LOSSES
from train.network import SegmentationNetwork

Objective = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""A function of images, float32 [n, 3, H, W] in [0, 1], and masks, float32 [n, 1, H, W] of 0 and 1.

It returns the loss, a scalar, and sums over each image's pixels, float64 [n, 5]: of the mask y, the
probability p, and y p, then of the predicted mask h (1 where p >= 0.5) and y h. It does not wait
for the device."""


def make_objective(
    network: SegmentationNetwork, config: TrainConfig, device: torch.device, dtype: torch.dtype
) -> Objective:
    """Return the objective of a network, in the network's mode and weights at each call.

    With `config.compile`, `torch.compile` makes one graph of network, loss and sums for training
    and one for validation, at the first call of each. A smaller last batch runs uncompiled, since
    it is not worth graphs of its own.

    Args:
        dtype: of the network's arithmetic; the loss is float32.

    The returned function raises:
        ConfigError: it cannot be compiled on this machine.

    Example:
        >>> config, cpu = TrainConfig(data="scans", width=2, size=16), torch.device("cpu")
        >>> from train.network import make_network
        >>> network = make_network("scratch", 2, 16)
        >>> objective = make_objective(network, config, cpu, torch.float32)
        >>> loss, sums = objective(torch.rand(2, 3, 16, 16), torch.zeros(2, 1, 16, 16))
        >>> loss.shape, sums.shape
        (torch.Size([]), torch.Size([2, 5]))
    """
    compute_loss = LOSSES[config.loss].compute

    def objective(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            logits = network(images)
        return compute_loss(logits.float(), masks), _image_sums(logits.detach(), masks)

    return _compiled(objective, config.batch_size) if config.compile else objective


def _compiled(objective: Objective, batch_size: int) -> Objective:
    # PyTorch limits how often a function is compiled; earlier networks count, unless it is reset.
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
                f"compile: torch.compile does not work on this machine: {cause}"
            ) from error

    return checked


def _image_sums(logits: Tensor, masks: Tensor) -> Tensor:
    probability = logits.float().sigmoid()
    predicted = (probability >= THRESHOLD).to(masks.dtype)
    parts = [masks, probability, masks * probability, predicted, masks * predicted]
    stacked = torch.stack(parts)
    return stacked.flatten(2).sum(dim=2, dtype=torch.float64).T
