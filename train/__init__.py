"""Train segmentation networks in PyTorch: a data set goes in, a checkpoint comes out."""

from typing import TYPE_CHECKING

from runtime.core.lazy import lazily

if TYPE_CHECKING:
    from train.checkpoint import (
        Checkpoint,
        DataFacts,
        build_network,
        load_checkpoint,
        save_checkpoint,
    )
    from train.config import TrainConfig, demo_config, study_config
    from train.encoders import ENCODERS, Encoder
    from train.epoch import Progress
    from train.history import EpochRow, best_epoch
    from train.loop import TrainResult, train_network
    from train.network import UNet
    from train.weights import EncoderWeights, load_encoder_weights

__all__ = [
    "ENCODERS",
    "Checkpoint",
    "DataFacts",
    "Encoder",
    "EncoderWeights",
    "EpochRow",
    "Progress",
    "TrainConfig",
    "TrainResult",
    "UNet",
    "best_epoch",
    "build_network",
    "demo_config",
    "load_checkpoint",
    "load_encoder_weights",
    "save_checkpoint",
    "study_config",
    "train_network",
]

__getattr__ = lazily(
    __name__,
    {
        "train.checkpoint": (
            "Checkpoint",
            "DataFacts",
            "build_network",
            "load_checkpoint",
            "save_checkpoint",
        ),
        "train.config": ("TrainConfig", "demo_config", "study_config"),
        "train.encoders": ("ENCODERS", "Encoder"),
        "train.history": ("EpochRow", "best_epoch"),
        "train.epoch": ("Progress",),
        "train.loop": ("TrainResult", "train_network"),
        "train.network": ("UNet",),
        "train.weights": ("EncoderWeights", "load_encoder_weights"),
    },
)
