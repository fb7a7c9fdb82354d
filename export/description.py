"""The description of the networks in an exported file."""

import math
from collections.abc import Sequence
from dataclasses import replace

from export.conversion import count_macs
from runtime.model.metadata import (
    EncoderInfo,
    InputSpec,
    MemberInfo,
    Metadata,
    NetworkInfo,
    OutputSpec,
    TrainingInfo,
)
from train.checkpoint import Checkpoint
from train.losses import LOSSES
from train.network import SegmentationNetwork


def describe_network(checkpoint: Checkpoint, network: SegmentationNetwork, name: str) -> Metadata:
    """Return the metadata of a checkpoint's network, without a certificate."""
    config = checkpoint.config
    view = checkpoint.data.image_size or (None, None)
    if config.resize == "tile":
        view = (config.size, config.size)
    return Metadata(
        name=name,
        input=InputSpec(
            config.size,
            config.size,
            multiple=network.multiple if network.dynamic_size else 0,
            intensity=config.intensity,
            volumes=checkpoint.data.volumes,
            resize=config.resize,
            view_height=view[0],
            view_width=view[1],
        ),
        output=OutputSpec(labels=("foreground",)),
        network=NetworkInfo(
            arch=config.arch,
            width=config.width,
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            macs=count_macs(network, config.size),
        ),
        training=_training(checkpoint),
        encoder=_encoder(checkpoint),
    )


def _training(checkpoint: Checkpoint) -> TrainingInfo:
    config, row = checkpoint.config, checkpoint.history[-1]
    return TrainingInfo(
        data_name=checkpoint.data.name,
        data_sha256=checkpoint.data.sha256,
        data_license=checkpoint.data.license,
        images=checkpoint.data.images,
        masks=config.mask_kind,
        epochs=config.epochs,
        best_epoch=row.epoch,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        seed=config.seed,
        optimizer="Adam",
        loss=LOSSES[config.loss].title,
        validation={
            "loss": row.valid_loss,
            "precision": row.valid_precision,
            "recall": row.valid_recall,
            "iou": row.valid_iou,
        },
        versions=checkpoint.versions,
        augmented=config.augment,
        categories=config.categories,
        annotations=checkpoint.data.annotations,
        arithmetic=row.arithmetic,
        empty=config.empty,
    )


def _encoder(checkpoint: Checkpoint) -> EncoderInfo | None:
    config, weights = checkpoint.config, checkpoint.encoder_weights
    if weights is None:
        return None
    unfrozen = 0 < config.unfreeze_epoch <= checkpoint.epoch
    frozen = config.freeze_encoder and not unfrozen
    return EncoderInfo(weights.source, weights.sha256, weights.license, frozen=frozen)


def describe_ensemble(members: Sequence[Metadata], name: str) -> Metadata:
    """Return the metadata of several networks in one file, without a certificate.

    Args:
        members: the result of `describe_network` for each; their inputs have one size.
    """
    first = members[0]
    infos = []
    for member in members:
        assert member.training is not None
        infos.append(MemberInfo(member.name, member.network, member.training, member.encoder))
    return Metadata(
        name=name,
        # The least common multiple with 0 is 0: one member of fixed size fixes the file's size.
        input=replace(
            first.input, multiple=math.lcm(*(member.input.multiple for member in members))
        ),
        output=first.output,
        network=NetworkInfo(
            arch="ensemble",
            width=0,
            parameters=sum(member.network.parameters for member in members),
            macs=sum(member.network.macs for member in members),
        ),
        members=tuple(infos),
    )
