import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import correlate2d
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from train.mscan import Attention
from train.network import UNet


def test_its_size_is_the_papers() -> None:
    with torch.device("meta"):
        encoder = UNet("segnext", 4).encoder
    parameters = sum(parameter.numel() for parameter in encoder.parameters())
    classifier = 256 * 1000 + 1000
    assert round((parameters + classifier) / 1e6, 1) == 4.2  # table 2 of the paper
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        encoder(torch.empty(1, 3, 224, 224, device="meta"))
    assert round(counter.get_total_flops() / 2e9, 1) == 0.9


def test_attention_is_equation_1() -> None:
    torch.manual_seed(0)
    attention = Attention(2).double().eval()
    images = torch.rand(1, 2, 9, 8, dtype=torch.float64)
    values = attention.first(images)

    def filtered(layer: nn.Conv2d, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        """The convolution of each channel alone, by scipy."""
        weight, bias = layer.weight.detach().numpy(), layer.bias
        assert bias is not None
        return np.stack(
            [
                correlate2d(channel, kernel[0], mode="same") + offset
                for channel, kernel, offset in zip(pixels, weight, bias.tolist(), strict=True)
            ]
        )

    with torch.no_grad():
        near = filtered(attention.local, values[0].numpy())
        total = near.copy()
        for length, strip in zip((7, 11, 21), attention.strips, strict=True):
            assert isinstance(strip, nn.Sequential)
            row, column = strip
            assert isinstance(row, nn.Conv2d)
            assert isinstance(column, nn.Conv2d)
            assert (row.kernel_size, column.kernel_size) == ((1, length), (length, 1))
            total += filtered(column, filtered(row, near))
        weights = attention.mix(torch.from_numpy(total)[None])
        expected = images + attention.last(weights * values)
        torch.testing.assert_close(attention(images), expected)
