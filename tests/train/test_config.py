import json
from dataclasses import replace
from typing import Any

import pytest

from runtime.core.errors import ConfigError
from runtime.core.schema import from_dict, to_dict
from train.config import TrainConfig, demo_config, differing_setting, study_config


def test_the_defaults_are_the_studys_protocol() -> None:
    for arch in ("scratch", "resnet34", "resnet50", "swin"):
        config = study_config("data", arch)
        assert (config.width, config.size, config.masks) == (64, 256, "auto")
        assert (config.epochs, config.batch_size, config.learning_rate) == (25, 32, 0.001)
        assert (config.patience, config.decay) == (3, 0.1)
        assert (config.loss, config.augment, config.unfreeze_epoch) == ("bce", False, 0)
        assert config.unfreeze_learning_rate == pytest.approx(config.learning_rate / 100)
        assert (config.seed, config.threads, config.device) == (0, None, "auto")
        assert (config.precision, config.channels_last, config.compile) == ("auto", True, False)
    assert study_config("data", "resnet50").freeze_encoder
    assert study_config("data", "resnet50").encoder_weights == "imagenet"


def test_an_encoder_without_weights_is_trained() -> None:
    assert not study_config("data", "resnet50", encoder_weights="none").freeze_encoder


def test_what_is_given_goes_before_the_demos_settings() -> None:
    assert demo_config("data", "scratch").width < 64
    assert demo_config("data", "scratch", width=20).width == 20


def test_a_config_survives_json() -> None:
    config = study_config("data", "resnet50", width=16, learning_rate=0.01)
    content = json.loads(json.dumps(to_dict(config)))
    assert from_dict(TrainConfig, content, where="config", error=ConfigError) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arch": "vgg"}, "arch vgg: unknown architecture; use scratch, .*, timm:NAME, smp:"),
        ({"width": 0}, "width: expected 1 or more, found 0"),
        ({"epochs": -1}, "epochs: expected 1 or more"),
        ({"batch_size": 0}, "batch_size"),
        ({"patience": 0}, "patience"),
        ({"seed": -1}, "seed"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"decay": 1.0}, "decay"),
        ({"size": 250}, "size: expected a multiple of 16 for scratch, found 250"),
        ({"size": 4112}, "size: expected 1 to 4096, found 4112"),
        ({"arch": "resnet50", "size": 48}, "size: expected a multiple of 32"),
        ({"arch": "swin", "size": 48}, "size: expected a multiple of 32"),
        ({"threads": 0}, "threads: expected 1 to 256, found 0"),
        ({"precision": "fp8"}, "precision"),
        ({"loss": "focal"}, "loss: expected one of bce, dice, bce.dice, found 'focal'"),
        ({"unfreeze_epoch": -1}, "unfreeze_epoch: expected 0 or more"),
        ({"unfreeze_learning_rate": 0.0}, "unfreeze_learning_rate: expected more than 0"),
        ({"unfreeze_learning_rate": 0.1}, "unfreeze_learning_rate: needs an unfreeze_epoch"),
        ({"unfreeze_epoch": 3}, "unfreeze_epoch 3: the encoder is not frozen"),
        ({"arch": "swin", "unfreeze_epoch": 3}, "unfreeze_epoch 3: the encoder is not frozen"),
        (
            {"arch": "swin", "freeze_encoder": True, "unfreeze_epoch": 26},
            "unfreeze_epoch: expected one of the 25 epochs, found 26",
        ),
        ({"encoder_weights": "imagenet"}, "scratch: this network takes no encoder weights"),
    ],
)
def test_a_setting_out_of_range_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainConfig(data="data", **changes)


OTHER_VALUES: dict[str, Any] = {
    "arch": "resnet34", "width": 5, "size": 64, "masks": "segmentation", "batch_size": 3,
    "loss": "dice", "augment": True, "learning_rate": 0.5, "patience": 2, "decay": 0.2,
    "freeze_encoder": False, "unfreeze_epoch": 3, "unfreeze_learning_rate": 0.5, "seed": 1,
    "device": "cpu", "precision": "bf16", "channels_last": False, "compile": True, "threads": 2,
    "intensity": 4095, "categories": ("Tumor",), "resize": "tile", "empty": "drop",
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_a_run_is_not_resumed_with_another_setting(name: str) -> None:
    unfrozen = 0 if name == "freeze_encoder" else 2
    config = study_config("data", "resnet50", unfreeze_epoch=unfrozen)
    assert differing_setting(config, replace(config, **{name: OTHER_VALUES[name]})) == name


def test_only_more_epochs_and_files_that_moved_make_the_same_run() -> None:
    config = study_config("data", "resnet50")
    moved = replace(config, epochs=30, data="elsewhere", encoder_weights="moved.pth")
    assert differing_setting(config, moved) is None
    changed = {name for name in to_dict(config) if getattr(config, name) != getattr(moved, name)}
    assert {*OTHER_VALUES, *changed} == set(to_dict(config))


def test_names_tell_variants_apart() -> None:
    def name(**changes: Any) -> str:
        return study_config("data", "resnet50", width=16, **changes).name

    assert name() == "unet-resnet50-w16"
    assert name(augment=True) == "unet-resnet50-w16-augment"
    assert name(unfreeze_epoch=5) == "unet-resnet50-w16-unfreeze5"
    assert name(loss="dice") == "unet-resnet50-w16-dice"
    assert name(empty="drop") == "unet-resnet50-w16-annotated"
    assert name(resize="fit") == "unet-resnet50-w16-fit"
    assert name(loss="bce+dice") == "unet-resnet50-w16-bce-dice"
    every = name(augment=True, unfreeze_epoch=5, loss="dice")
    assert every == "unet-resnet50-w16-augment-unfreeze5-dice"


def test_a_config_from_before_the_later_settings_means_the_studys_protocol() -> None:
    config = study_config("data", "resnet50")
    content = to_dict(config)
    for name in ("loss", "augment", "resize", "empty", "unfreeze_epoch", "unfreeze_learning_rate"):
        del content[name]
    assert from_dict(TrainConfig, content, where="config", error=ConfigError) == config


@pytest.mark.parametrize(
    ("settings", "smallest"),
    [
        ({"size": 16}, 2),
        ({"size": 32}, 1),
        ({"size": 32, "arch": "resnet34"}, 2),
        ({"size": 64, "arch": "resnet34"}, 1),
        ({"size": 32, "arch": "resnet34", "freeze_encoder": True}, 1),
        ({"size": 32, "arch": "swin"}, 1),
    ],
)
def test_batch_normalization_of_one_pixel_needs_two_images(
    settings: dict[str, Any], smallest: int
) -> None:
    assert TrainConfig(data="none", batch_size=2, **settings).smallest_batch == smallest
    if smallest == 2:
        with pytest.raises(ConfigError, match=r"batch_size: at size .* needs at least 2 images"):
            TrainConfig(data="none", batch_size=1, **settings)
