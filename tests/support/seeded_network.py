"""Networks with random weights that behave like trained ones."""

import torch

from train.network import UNet


def seeded_network(arch: str, seed: int = 0) -> UNet:
    """Return a network of width 4 whose normalization has statistics of images.

    Its probabilities are spread over [0, 1]. A pretrained encoder is frozen.
    """
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        network = UNet(arch, 4)
        for parameter in network.parameters():  # no two are equal, and no offset is zero
            parameter.add_(0.02 * torch.randn(parameter.shape))
        for _ in range(3):
            network.train()(torch.rand(4, 3, 64, 64))
        if arch != "scratch":
            network.freeze_encoder()
        logits = network.eval()(torch.rand(2, 3, 64, 64))
        network.head.weight.div_(logits.std())
        network.head.bias.sub_(logits.mean()).div_(logits.std())  # type: ignore[union-attr]
    return network
