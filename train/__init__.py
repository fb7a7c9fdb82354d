"""Train segmentation networks in PyTorch: a data set goes in, a checkpoint comes out."""

from typing import TYPE_CHECKING

from runtime.core.lazy import lazy_imports

if TYPE_CHECKING:
    from train.architectures import (
        ARCHITECTURES as ARCHITECTURES,
        Architecture as Architecture,
        find_architecture as find_architecture,
    )
    from train.checkpoint import (
        Checkpoint as Checkpoint,
        DataFacts as DataFacts,
        build_network as build_network,
        load_checkpoint as load_checkpoint,
        save_checkpoint as save_checkpoint,
    )
    from train.config import (
        TrainConfig as TrainConfig,
        demo_config as demo_config,
        study_config as study_config,
    )
    from train.encoders import Encoder as Encoder, build_encoder as build_encoder
    from train.history import EpochRow as EpochRow, best_epoch as best_epoch
    from train.network import (
        SegmentationNetwork as SegmentationNetwork,
        UNet as UNet,
        make_network as make_network,
    )
    from train.pretrained import EncoderWeights as EncoderWeights
    from train.run import TrainResult as TrainResult, train_network as train_network
    from train.weights import load_encoder_weights as load_encoder_weights

__getattr__, __dir__ = lazy_imports(__name__)
