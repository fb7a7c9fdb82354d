"""A checkpoint to one self-sufficient ONNX file: graph, metadata and certificate."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from export.conversion import convert, count_macs
from export.parity import certify, make_cases
from runtime.coco import read_dataset
from runtime.errors import CheckpointError, DataError
from runtime.files import write_bytes
from runtime.machine import available_cores
from runtime.metadata import (
    KEY,
    EncoderInfo,
    InputSpec,
    Metadata,
    NetworkInfo,
    OutputSpec,
    TrainingInfo,
    dump_metadata,
)
from runtime.onnx_file import OnnxFile, read_onnx
from train.checkpoint import BEST, Checkpoint, build_network, load_checkpoint
from train.network import UNet


@dataclass(frozen=True, slots=True)
class ExportResult:
    """A written file, as the runtime reads it, and the checkpoint that it came from."""

    checkpoint: Path
    file: OnnxFile
    metadata: Metadata


def find_checkpoints(folder: str | Path) -> tuple[Path, ...]:
    """Return the best checkpoint of every run below `folder`, in the order of their paths.

    Raises:
        CheckpointError: there is none.
    """
    found = tuple(sorted(Path(folder).rglob(BEST)))
    if not found:
        raise CheckpointError(
            f"{folder}: expected runs of train-unet ({BEST}), found none; train one first"
        )
    return found


def default_output(checkpoint: Path) -> Path:
    """Return the file that a checkpoint is exported to: RUN.onnx beside the folder RUN."""
    folder = checkpoint.resolve().parent
    return checkpoint.parent.parent / f"{folder.name}.onnx"


def export_checkpoint(
    checkpoint: str | Path,
    output: str | Path,
    *,
    data: str | Path | None = None,
    threads: int | None = None,
) -> ExportResult:
    """Write a checkpoint's network as an ONNX file, once it has been compared with PyTorch.

    Args:
        data: the data set whose valid split gives the real images of the comparison; by default
            what the network was trained on.
        threads: of ONNX Runtime in the comparison.

    Raises:
        CheckpointError: the checkpoint cannot be loaded.
        DataError: the data set cannot be read.
        ParityError: the file would not compute what the network computes; none is written.
        OutputError: the file cannot be written.
    """
    source, target = Path(checkpoint), Path(output)
    loaded = load_checkpoint(source)
    network = build_network(loaded, source)
    if data is None and not os.path.isdir(loaded.config.data):  # noqa: PTH112, as in read_dataset
        raise DataError(
            f"{source}: expected the data that it was trained on in {loaded.config.data}, found "
            "none; give a data set with --data"
        )
    dataset = read_dataset(data or loaded.config.data)
    model = convert(network)
    size = (loaded.config.size, loaded.config.size)
    parity = certify(
        model,
        network,
        make_cases(dataset.split("valid"), size, network.multiple),
        images_from=f"{dataset.name}, valid",
        threads=threads or available_cores(),
    )
    metadata = replace(describe_network(loaded, network, target.stem), parity=parity)
    onnx.helper.set_model_props(model, {KEY: dump_metadata(metadata)})
    write_bytes(target, model.SerializeToString())
    return ExportResult(source, read_onnx(target), metadata)


def describe_network(checkpoint: Checkpoint, network: UNet, name: str) -> Metadata:
    """Return the metadata of a checkpoint's network, without a certificate."""
    config = checkpoint.config
    weights = checkpoint.encoder_weights
    row = checkpoint.history[-1]
    return Metadata(
        name=name,
        input=InputSpec(config.size, config.size, multiple=network.multiple),
        output=OutputSpec(labels=("foreground",)),
        network=NetworkInfo(
            arch=config.arch,
            width=config.width,
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            macs=count_macs(network, config.size),
        ),
        training=TrainingInfo(
            data_name=checkpoint.data.name,
            data_sha256=checkpoint.data.sha256,
            data_licence=checkpoint.data.licence,
            images=checkpoint.data.images,
            masks=config.masks,
            epochs=config.epochs,
            best_epoch=row.epoch,
            batch_size=config.batch_size,
            learning_rate=config.learning_rate,
            seed=config.seed,
            optimiser="Adam",
            loss="binary cross-entropy",
            validation={
                "loss": row.valid_loss,
                "precision": row.valid_precision,
                "recall": row.valid_recall,
                "iou": row.valid_iou,
            },
            versions=checkpoint.versions,
        ),
        encoder=None
        if weights is None
        else EncoderInfo(weights.source, weights.sha256, weights.licence, config.freeze_encoder),
    )
