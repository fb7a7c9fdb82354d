from pathlib import Path

import pytest
import torch
from torchvision.models import VisionTransformer, get_model_weights, vit_b_16

from tests.support.small_backbones import use_small_backbones
from train.network import make_network
from train.unetr import Unetr, VitEncoder
from train.weights import load_encoder_weights


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Unetr:
    use_small_backbones(monkeypatch)
    torch.manual_seed(0)
    network = make_network("unetr", 2, 32)
    assert isinstance(network, Unetr)
    return network.eval()


def small(size: int) -> VisionTransformer:
    return VisionTransformer(
        image_size=size, patch_size=16, num_layers=12, num_heads=2, hidden_dim=8, mlp_dim=16
    ).eval()


def test_the_transformer_is_torchvisions_without_its_classifier() -> None:
    with torch.device("meta"):
        encoder = make_network("unetr", 4, 224).encoder
        whole = vit_b_16()
    assert encoder is not None
    stated = get_model_weights("vit_b_16")["IMAGENET1K_V1"].meta["num_params"]
    classifier = sum(parameter.numel() for parameter in whole.heads.parameters())
    assert sum(p.numel() for p in encoder.parameters()) == stated - classifier


def test_features_are_the_tokens_after_each_third_layer(network: Unetr) -> None:
    encoder, reference = network.encoder, small(32)
    missing, unknown = reference.load_state_dict(encoder.backbone.state_dict(), strict=False)
    assert {name.split(".")[0] for name in missing} == {"heads"}
    assert not unknown
    images, tokens = torch.rand(2, 3, 32, 32), []
    for number in (2, 5, 8):
        layer = reference.encoder.layers[number]
        layer.register_forward_hook(lambda _module, _inputs, output: tokens.append(output))
    reference.encoder.register_forward_hook(lambda _module, _inputs, output: tokens.append(output))
    with torch.no_grad():
        reference(encoder.normalize(images))
        features = encoder(images)
    for feature, wanted in zip(features, tokens, strict=True):
        assert feature.shape == (2, 8, 2, 2)
        torch.testing.assert_close(feature.flatten(2).transpose(1, 2), wanted[:, 1:])


def test_every_feature_and_the_image_reach_the_logits(network: Unetr) -> None:
    taken: list[torch.Tensor] = []

    def keep(_module: object, _inputs: object, features: list[torch.Tensor]) -> None:
        for feature in features:
            feature.retain_grad()
        taken.extend(features)

    network.encoder.register_forward_hook(keep)
    logits = network(torch.rand(2, 3, 32, 32))
    assert logits.shape == (2, 1, 32, 32)
    logits.sum().backward()
    assert len(taken) == 4
    assert all(feature.grad is not None and feature.grad.any() for feature in taken)
    assert next(network.image.parameters()).grad is not None


def test_weights_of_another_size_fit(network: Unetr, tmp_path: Path) -> None:
    state = small(48).state_dict()
    torch.save(state, tmp_path / "w.pth")
    load_encoder_weights(network.encoder, str(tmp_path / "w.pth"))
    loaded = network.encoder.backbone.state_dict()
    positions = "encoder.pos_embedding"
    assert loaded[positions].shape == (1, 1 + 2 * 2, 8)
    assert torch.equal(loaded[positions][:, 0], state[positions][:, 0])
    assert all(torch.equal(v, state[n]) for n, v in loaded.items() if n != positions)


def test_a_frozen_transformer_leaves_the_rest_to_be_trained(network: Unetr) -> None:
    assert isinstance(network.encoder, VitEncoder)
    network.freeze_encoder()
    network.train()
    trained = {name.split(".")[0] for name, p in network.named_parameters() if p.requires_grad}
    assert trained == {"image", "skips", "decoder", "head"}
