"""How long a training run will take, from a few steps of it."""

import time

import torch

from train.config import TrainConfig
from train.network import UNet
from train.setup import begin, choose_device, repeatable

_IMAGES = 4
_STEPS = 2


def seconds_per_image(config: TrainConfig) -> float:
    """Return the seconds that training takes an image, on this machine, from two small steps.

    The network is built as a run builds it, so that what would stop a run stops it here.

    Raises:
        ConfigError: the device is not there.
        CheckpointError: the encoder's weights cannot be loaded.
    """
    device, dtype = choose_device(config)
    with repeatable(config, device):
        network = begin(config, device).network.train()
        images = torch.rand(_IMAGES, 3, config.size, config.size, device=device)
        if config.channels_last:
            images = images.to(memory_format=torch.channels_last)
        return min(_step(network, images, dtype) for _ in range(_STEPS)) / _IMAGES


def _step(network: UNet, images: torch.Tensor, dtype: torch.dtype) -> float:
    start = time.perf_counter()
    with torch.autocast(images.device.type, dtype, enabled=dtype != torch.float32):
        logits = network(images)
    logits.float().sum().backward()
    if images.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start
