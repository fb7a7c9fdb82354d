"""Small stand-ins for torchvision's networks, for tests of what is around them."""

from typing import Any

import pytest


def use_small_backbones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give torchvision's ResNets, Swin-T and ViT-B/16 fewer blocks or channels."""
    from torch import nn
    from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
    from torchvision.models.swin_transformer import SwinTransformer
    from torchvision.models.vision_transformer import VisionTransformer

    class NarrowResNet(ResNet):  # type: ignore[misc]  # torchvision states no types
        """One block a stage, with an eighth of the channels: a checkpoint is written in no time."""

        def __init__(self, block: type[BasicBlock | Bottleneck]) -> None:
            super().__init__(block, [1, 1, 1, 1])
            self.fc = nn.Linear(64 * block.expansion, 1000)

        def _make_layer(self, block: Any, planes: int, *args: Any, **options: Any) -> Any:
            return super()._make_layer(block, planes // 8, *args, **options)

    def build(name: str, weights: None, **options: Any) -> Any:
        if name in ("resnet34", "resnet50"):
            return NarrowResNet(BasicBlock if name == "resnet34" else Bottleneck)
        if name == "vit_b_16":
            return VisionTransformer(
                patch_size=16, num_layers=12, num_heads=2, hidden_dim=8, mlp_dim=16, **options
            )
        assert name == "swin_t"
        return SwinTransformer(
            [4, 4], 24, [2, 0, 1, 0], [3, 6, 12, 24], [7, 7], stochastic_depth_prob=0.5
        )

    monkeypatch.setattr("torchvision.models.get_model", build)
