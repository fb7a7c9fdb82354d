import pytest
import torch

from runtime.core.errors import ConfigError
from tests.support.encoders import PRETRAINED
from train.architectures import ARCHITECTURES, find_architecture
from train.config import TrainConfig, study_config
from train.network import make_network

LABELS = {
    "scratch": "unet-scratch-w4",
    "unetr": "unetr-w4",
    "timm:resnet10t.c3_in1k": "unet-timm-resnet10t-c3_in1k-w4",
    "smp:FPN:timm-regnetx_002": "smp-FPN-timm-regnetx_002",
    "my.nets:tiny": "my-nets-tiny-w4",
}


@pytest.mark.parametrize(("name", "label"), LABELS.items())
def test_a_network_is_named_after_its_architecture(name: str, label: str) -> None:
    assert TrainConfig("scans", arch=name, width=4).name == label


@pytest.mark.parametrize("name", ["timm:resnet10t", "smp:FPN:resnet18", "resnet50", "unetr"])
def test_what_can_take_weights_starts_from_imagenets_and_is_frozen(name: str) -> None:
    config = study_config("scans", name)
    assert (config.encoder_weights, config.freeze_encoder) == ("imagenet", True)


@pytest.mark.parametrize("name", ["scratch", "segnext", "nets:tiny"])
def test_what_takes_no_weights_is_trained(name: str) -> None:
    assert study_config("scans", name).encoder_weights == "none"
    with pytest.raises(ConfigError, match=f"arch {name}: this network takes no encoder weights"):
        TrainConfig("scans", arch=name, encoder_weights="w.pth")


def test_only_a_users_network_is_code_to_be_named() -> None:
    own = ["nets:tiny", "a.b:c"]
    others = [*ARCHITECTURES, "timm:resnet10t", "smp:Unet:resnet18"]
    assert [find_architecture(name).own for name in own + others] == [True] * 2 + [False] * len(
        others
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("resnet5", "did you mean resnet50"),
        ("", "use scratch"),
        ("timm:", "use scratch"),
        ("timm:a b", "use scratch"),
        ("timm:../x", "use scratch"),
        ("smp:Unet", "use scratch"),
        ("smp::resnet18", "use scratch"),
        ("nets:", "did you mean unetr"),
        (":tiny", "use scratch"),
        ("nets:tiny()", "use scratch"),
        ("nets/x:tiny", "use scratch"),
        ("nets..x:tiny", "use scratch"),
    ],
)
def test_other_names_are_refused(name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=f"unknown architecture; {hint}"):
        find_architecture(name)


def test_the_table_states_what_the_networks_have() -> None:
    backbones = {a.name: a.backbone for a in ARCHITECTURES.values() if a.pretrained}
    assert backbones == PRETRAINED | {"unetr": "vit_b_16"}
    assert all(ARCHITECTURES[arch].weights_license for arch in backbones)
    for arch in ARCHITECTURES:
        with torch.device("meta"):
            network = make_network(arch, 4, 64)
        assert network.multiple == TrainConfig(data="", arch=arch).multiple
