"""Several checkpoints to one ONNX file, whose output is the mean of their probabilities."""

from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import torch

from export.description import describe_ensemble, describe_network
from export.onnx_export import ExportResult, comparison_data, silent
from export.variants.variants import Optimization, Precision, ending
from export.writing import Order, write_networks
from runtime.core.errors import ConfigError
from runtime.core.machine import available_cores
from runtime.model.onnx_file import MAX_BYTES
from train.checkpoint import Checkpoint, build_network, load_checkpoint
from train.network import UNet


def export_ensemble(
    checkpoints: Sequence[str | Path],
    output: str | Path,
    *,
    data: str | Path | None = None,
    precision: Precision = "fp32",
    optimization: Optimization | None = None,
    threads: int | None = None,
    on_step: Callable[[str], None] = silent,
) -> ExportResult:
    """Write several checkpoints' networks as one ONNX file that gives their mean probability.

    Args:
        checkpoints: at least two, of different networks that were trained at one size, with masks
            of one kind.
        data: by default what the first network was trained on.
        data, precision, optimization, threads, on_step: as for one checkpoint.

    Raises:
        ConfigError: the networks do not belong into one file.
        CheckpointError, DataError, ParityError, OutputError: as for one checkpoint.
    """
    ending(precision, optimization)
    sources, target = [Path(checkpoint) for checkpoint in checkpoints], Path(output)
    if len(sources) < 2:
        raise ConfigError(f"{target}: expected at least two networks, found {len(sources)}")
    loaded = [load_checkpoint(source) for source in sources]
    networks = [
        build_network(member, source) for member, source in zip(loaded, sources, strict=True)
    ]
    _check_members(sources, loaded, networks)
    members = [
        describe_network(member, network, source.resolve().parent.name)
        for member, network, source in zip(loaded, networks, sources, strict=True)
    ]
    metadata = describe_ensemble(members, target.stem)
    if 4 * metadata.network.parameters > MAX_BYTES:
        raise ConfigError(
            f"{target}: expected networks of at most {MAX_BYTES // 4:,} parameters together, "
            f"found {metadata.network.parameters:,}"
        )
    order = Order(
        networks=networks,
        metadata=metadata,
        dataset=comparison_data(sources[0], loaded[0], data),
        masks=loaded[0].config.masks,
        precision=precision,
        optimization=optimization,
        threads=threads or available_cores(),
        on_step=on_step,
    )
    return ExportResult(tuple(sources), write_networks(order, target))


def _check_members(
    sources: Sequence[Path], members: Sequence[Checkpoint], networks: Sequence[UNet]
) -> None:
    for source, member in zip(sources[1:], members[1:], strict=True):
        for setting in ("size", "masks"):
            wanted, found = (getattr(m.config, setting) for m in (members[0], member))
            if found != wanted:
                raise ConfigError(
                    f"{source}: expected {setting} {wanted} as in {sources[0]}, found {found}"
                )
    for (one, first), (other, second) in combinations(zip(sources, networks, strict=True), 2):
        if _same_weights(first, second):
            raise ConfigError(f"{other}: expected another network than {one}, found the same")


def _same_weights(one: UNet, other: UNet) -> bool:
    weights, others = one.state_dict(), other.state_dict()
    return weights.keys() == others.keys() and all(
        torch.equal(value, others[name]) for name, value in weights.items()
    )
