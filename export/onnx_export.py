"""Checkpoints to one self-sufficient ONNX file: graph, metadata and certificate."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from export.description import describe_network
from export.variants.variants import Optimization, Precision, ending
from export.writing import Order, write_networks
from runtime.core.errors import CheckpointError, DataError, ModelError
from runtime.core.machine import available_cores
from runtime.data.coco import Dataset, read_dataset
from runtime.model.metadata import Metadata
from runtime.model.onnx_file import OnnxFile, read_onnx
from train.checkpoint import BEST, Checkpoint, build_network, load_checkpoint


@dataclass(frozen=True, slots=True)
class ExportResult:
    """A written file, as the runtime reads it, and the checkpoints that it came from."""

    checkpoints: tuple[Path, ...]
    file: OnnxFile

    @property
    def metadata(self) -> Metadata:
        """What the file says about itself."""
        assert self.file.metadata is not None
        return self.file.metadata


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


def default_output(
    checkpoint: Path, precision: Precision = "fp32", optimization: Optimization | None = None
) -> Path:
    """Return the file that a checkpoint is exported to: RUN.onnx beside the folder RUN.

    Other forms are RUN-fp16.onnx, RUN-int8.onnx and RUN-winograd.onnx. Raises ConfigError where
    there is no such form.
    """
    name = f"{checkpoint.resolve().parent.name}{ending(precision, optimization)}.onnx"
    return checkpoint.parent.parent / name


def silent(step: str) -> None:
    """Take note of a step of an export, and tell nobody."""


def export_checkpoint(
    checkpoint: str | Path,
    output: str | Path,
    *,
    data: str | Path | None = None,
    precision: Precision = "fp32",
    optimization: Optimization | None = None,
    threads: int | None = None,
    on_step: Callable[[str], None] = silent,
) -> ExportResult:
    """Write a checkpoint's network as an ONNX file, once it has been compared with PyTorch.

    Args:
        data: the data set whose valid split gives the real images of the comparison, and whose
            train split calibrates INT8; by default what the network was trained on.
        precision: of the weights; "int8" is that of the activations too. Lower ones than float32
            are judged by pooled soft IoU on the valid split.
        optimization: "winograd" computes 3x3 convolutions by minimal filtering, for the one size
            that the network was trained at, where that is faster on this machine; fp32 alone.
        threads: of ONNX Runtime in the comparison.
        on_step: told what is being done.

    Raises:
        CheckpointError: the checkpoint cannot be loaded.
        ConfigError: there is no such form of it.
        DataError: the data set cannot be read.
        ParityError: the file would not compute what the network computes, would cost too much
            accuracy, or an optimization would not be faster; none is written.
        OutputError: the file cannot be written.
    """
    ending(precision, optimization)
    source, target = Path(checkpoint), Path(output)
    loaded = load_checkpoint(source)
    network = build_network(loaded, source)
    order = Order(
        networks=[network],
        metadata=describe_network(loaded, network, target.stem),
        dataset=comparison_data(source, loaded, data),
        masks=loaded.config.masks,
        precision=precision,
        optimization=optimization,
        threads=threads or available_cores(),
        on_step=on_step,
    )
    return ExportResult((source,), write_networks(order, target))


def is_exported(checkpoint: str | Path, output: str | Path) -> bool:
    """Tell whether `output` is a checkpoint's plain file, as `export_checkpoint` wrote it.

    It is where the file says of its network what the checkpoint says, down to the last digit of the
    best epoch's validation metrics, and holds the graph and weights that its certificate is about.

    Raises:
        CheckpointError: the checkpoint cannot be loaded.
    """
    source, target = Path(checkpoint), Path(output)
    loaded = load_checkpoint(source)
    try:
        file = read_onnx(target)
    except ModelError:
        return False
    stated = file.metadata
    if stated is None or stated.parity is None or stated.parity.digest != file.digest:
        return False
    described = describe_network(loaded, build_network(loaded, source), target.stem)
    return replace(stated, parity=None) == described


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
