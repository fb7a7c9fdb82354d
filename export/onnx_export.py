"""Checkpoints to one self-sufficient ONNX file."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import torch

from export.description import describe_ensemble, describe_network
from export.pipeline import TrainedNetworks, write_networks
from export.request import ExportRequest
from runtime.core.errors import ConfigError, DataError, ModelError
from runtime.core.progress import ProgressCallback
from runtime.data.coco import Dataset, read_dataset
from runtime.model.metadata import Metadata
from runtime.model.onnx_file import MAX_BYTES, OnnxFile, read_onnx
from train.checkpoint import Checkpoint, build_network, load_checkpoint
from train.network import SegmentationNetwork


@dataclass(frozen=True, slots=True)
class ExportResult:
    """A written file, as the runtime reads it, and the checkpoints that it came from."""

    checkpoints: tuple[Path, ...]
    file: OnnxFile

    @property
    def metadata(self) -> Metadata:
        """The file's description of itself."""
        assert self.file.metadata is not None
        return self.file.metadata


def export_checkpoints(
    request: ExportRequest, *, on_progress: ProgressCallback | None = None
) -> ExportResult:
    """Write the requested networks as one ONNX file, after a comparison with PyTorch.

    Raises:
        CheckpointError: a checkpoint cannot be loaded.
        ConfigError: the networks do not fit into one file, or have no such variant.
        DataError: the data set cannot be read.
        ParityError: the file would not compute what the networks compute, would cost too much
            accuracy, or is an optimization that is not faster. No file is written.
        OutputError: the file cannot be written.
    """
    sources, target = request.sources, request.target
    checkpoints = [load_checkpoint(source) for source in sources]
    networks = [
        build_network(checkpoint, source, own=request.own)
        for checkpoint, source in zip(checkpoints, sources, strict=True)
    ]
    if len(sources) == 1:
        metadata = describe_network(checkpoints[0], networks[0], target.stem)
    else:
        _check_members(sources, checkpoints, networks)
        metadata = _ensemble_metadata(sources, checkpoints, networks, target)
    trained = TrainedNetworks(
        networks=networks,
        metadata=replace(metadata, license=request.license),
        dataset=comparison_data(sources[0], checkpoints[0], request.data),
        masks=checkpoints[0].config.mask_kind,
    )
    return ExportResult(sources, write_networks(trained, request, on_progress=on_progress))


def is_exported(checkpoint: str | Path, output: str | Path, *, own: Sequence[str] = ()) -> bool:
    """Return whether `output` is the plain file of a checkpoint, as an export wrote it.

    The file must describe its network as the checkpoint does, to the last digit of the best
    epoch's validation metrics, and hold the graph and weights that its certificate is about.

    Args:
        own: as in `train.build_network`.

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
    described = describe_network(loaded, build_network(loaded, source, own=own), target.stem)
    return replace(stated, parity=None, license=None, schema=described.schema) == described


def comparison_data(source: Path, checkpoint: Checkpoint, data: str | Path | None) -> Dataset:
    """Return the data set whose images a file is compared with PyTorch on.

    Args:
        source: the checkpoint's file, for messages.
        data: the data set's folder; None for the one that the network was trained on.

    Raises:
        DataError: it cannot be read, or the one that the network was trained on is gone.
    """
    if data is None and not os.path.isdir(checkpoint.config.data):  # noqa: PTH112, as in read_dataset
        raise DataError(
            f"{source}: the data that it was trained on is no longer in "
            f"{checkpoint.config.data}; give a data set with --data"
        )
    config = checkpoint.config
    return read_dataset(
        data or config.data, categories=config.categories, intensity=config.intensity
    )


def _ensemble_metadata(
    sources: Sequence[Path],
    checkpoints: Sequence[Checkpoint],
    networks: Sequence[SegmentationNetwork],
    target: Path,
) -> Metadata:
    members = [
        describe_network(checkpoint, network, source.resolve().parent.name)
        for checkpoint, network, source in zip(checkpoints, networks, sources, strict=True)
    ]
    metadata = describe_ensemble(members, target.stem)
    if 4 * metadata.network.parameters > MAX_BYTES:
        raise ConfigError(
            f"{target}: too many parameters for one file: expected at most {MAX_BYTES // 4:,}, "
            f"found {metadata.network.parameters:,}"
        )
    return metadata


def _check_members(
    sources: Sequence[Path],
    checkpoints: Sequence[Checkpoint],
    networks: Sequence[SegmentationNetwork],
) -> None:
    for source, checkpoint in zip(sources[1:], checkpoints[1:], strict=True):
        for setting in ("size", "resize", "masks", "categories", "intensity"):
            wanted, found = (getattr(c.config, setting) for c in (checkpoints[0], checkpoint))
            if found != wanted:
                raise ConfigError(
                    f"{source}: an ensemble needs members of one {setting}: expected {wanted} as "
                    f"in {sources[0]}, found {found}"
                )
        if checkpoint.data.volumes != checkpoints[0].data.volumes:
            raise ConfigError(
                f"{source}: an ensemble needs members whose images were made of volumes by one "
                f"rule, as in {sources[0]}"
            )
    named = zip(sources, networks, strict=True)
    for (first, network), (second, twin) in combinations(named, 2):
        if _same_weights(network, twin):
            raise ConfigError(f"{second}: the same network as {first}; give different ones")


def _same_weights(first: SegmentationNetwork, second: SegmentationNetwork) -> bool:
    weights, others = first.state_dict(), second.state_dict()
    return weights.keys() == others.keys() and all(
        torch.equal(value, others[name]) for name, value in weights.items()
    )
