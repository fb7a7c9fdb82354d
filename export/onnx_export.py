"""Checkpoints to one self-sufficient ONNX file: graph, metadata and certificate."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from export.card import model_card
from export.conversion import convert
from export.description import describe_network
from export.parity import certify, make_cases
from runtime.coco import Dataset, read_dataset
from runtime.errors import CheckpointError, DataError
from runtime.files import write_bytes, write_text
from runtime.machine import available_cores
from runtime.metadata import KEY, Metadata, dump_metadata
from runtime.onnx_file import OnnxFile, read_onnx
from train.checkpoint import BEST, Checkpoint, build_network, load_checkpoint
from train.network import UNet


@dataclass(frozen=True, slots=True)
class ExportResult:
    """A written file, as the runtime reads it, and the checkpoints that it came from."""

    checkpoints: tuple[Path, ...]
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
    dataset = comparison_data(source, loaded, data)
    metadata = describe_network(loaded, network, target.stem)
    return write_networks([source], [network], metadata, target, dataset, threads)


def comparison_data(source: Path, loaded: Checkpoint, data: str | Path | None) -> Dataset:
    """Return the data set whose images a file is compared with PyTorch on.

    Args:
        data: its folder; by default what the checkpoint's network was trained on.

    Raises:
        DataError: it cannot be read, or what the network was trained on is gone.
    """
    if data is None and not os.path.isdir(loaded.config.data):  # noqa: PTH112, as in read_dataset
        raise DataError(
            f"{source}: expected the data that it was trained on in {loaded.config.data}, found "
            "none; give a data set with --data"
        )
    return read_dataset(data or loaded.config.data)


def write_networks(
    sources: Sequence[Path],
    networks: Sequence[UNet],
    metadata: Metadata,
    target: Path,
    dataset: Dataset,
    threads: int | None,
) -> ExportResult:
    """Write networks in eval mode as one file, once it has been compared with PyTorch.

    Args:
        sources: the checkpoints they came from.
        metadata: what the file says, without a certificate.
        dataset: its valid split gives the real images of the comparison.

    Raises:
        ParityError: the file would not compute what the networks compute; none is written.
        OutputError: the file cannot be written.
    """
    spec = metadata.input
    model = convert(networks, spec)
    parity = certify(
        model,
        networks,
        make_cases(dataset.split("valid"), (spec.height, spec.width), spec.multiple),
        images_from=f"{dataset.name}, valid",
        threads=threads or available_cores(),
    )
    metadata = replace(metadata, parity=parity)
    onnx.helper.set_model_props(model, {KEY: dump_metadata(metadata)})
    write_bytes(target, model.SerializeToString())
    file = read_onnx(target)
    write_text(card_path(target), model_card(file))
    return ExportResult(tuple(sources), file, metadata)


def card_path(target: Path) -> Path:
    """Return where the model card of an exported file goes: beside it, RUN.md."""
    return target.with_suffix(".md")
