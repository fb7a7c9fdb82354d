"""How long a training run will take, from a few steps of it."""

import time

import torch

from runtime.machine import available_cores
from train.config import TrainConfig
from train.network import UNet

_IMAGES = 4
_STEPS = 2


def seconds_per_image(config: TrainConfig) -> float:
    """Return the seconds that training takes an image, on this machine, from two small steps.

    Validation costs about a third of it an image: a forward pass of the three that training takes.
    """
    device = torch.device("cuda" if torch.cuda.is_available() and config.device != "cpu" else "cpu")
    threads = torch.get_num_threads()
    torch.set_num_threads(config.threads or available_cores())
    try:
        with torch.random.fork_rng():
            network = UNet(config.arch, config.width).to(device)
            if config.freeze_encoder:
                network.freeze_encoder()
            network.train()
            images = torch.rand(_IMAGES, 3, config.size, config.size, device=device)
            if config.channels_last:
                network = network.to(memory_format=torch.channels_last)
                images = images.to(memory_format=torch.channels_last)
            return min(_step(network, images) for _ in range(_STEPS)) / _IMAGES
    finally:
        torch.set_num_threads(threads)


def _step(network: UNet, images: torch.Tensor) -> float:
    start = time.perf_counter()
    network(images).sum().backward()
    if images.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start
