"""Small stand-ins for torchvision's networks, for tests of what is around them."""

from typing import Any

import pytest


def use_small_backbones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give torchvision's ResNet34 and Swin-T fewer blocks and channels."""
    from torchvision.models.resnet import BasicBlock, ResNet
    from torchvision.models.swin_transformer import SwinTransformer

    def build(name: str, weights: None) -> Any:
        if name == "resnet34":
            return ResNet(BasicBlock, [1, 1, 1, 1])
        assert name == "swin_t"
        return SwinTransformer(
            [4, 4], 24, [2, 1, 2, 1], [3, 6, 12, 24], [7, 7], stochastic_depth_prob=0.5
        )

    monkeypatch.setattr("torchvision.models.get_model", build)
