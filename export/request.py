"""The one set of settings that describes an export."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from runtime.core.errors import CheckpointError, ConfigError, DataError
from runtime.core.files import ensure_replaceable, found_instead
from train.run_folder import BEST

WeightPrecision = Literal["fp32", "fp16", "int8"]
Optimization = Literal["winograd"]

_SPDX = re.compile(r"[A-Za-z0-9(][A-Za-z0-9 ().+:-]{0,99}")


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """One ONNX file to write, and how.

    Attributes:
        checkpoints: files of `train-unet`. Several become one file, an ensemble, which gives the
            mean of their probabilities; they need one input size, intensity and kind of masks.
        output: the file to write, ending in .onnx.
        data: the data set whose valid split gives the real images of the comparison, and whose
            train split calibrates INT8; None for the one that the first network was trained on.
        precision: of the weights; "int8" computes in 8 bits too. Files of lower precision than
            float32 are judged by pooled soft IoU on the valid split.
        optimization: "winograd" computes 3x3 convolutions by minimal filtering, at the one size
            that the network was trained at. Only with "fp32".
        threads: of ONNX Runtime; None for the cores that this process may use.
        own: names "MODULE:FUNCTION" of networks whose code may be run (`train.build_network`).
        license: SPDX identifier or expression of the terms under which the network may be used;
            None states none.

    Raises:
        ConfigError: there is no checkpoint, no such variant, or no such file name.

    Example:
        >>> request = ExportRequest(["unet/best.pt"], "unet-int8.onnx", precision="int8")
        >>> request.variant
        'int8'
        >>> ExportRequest(["unet/best.pt"], "unet.pt")
        Traceback (most recent call last):
        ...
        runtime.core.errors.ConfigError: unet.pt: an exported file's name must end in .onnx
    """

    checkpoints: Sequence[str | Path]
    output: str | Path
    data: str | Path | None = None
    precision: WeightPrecision = "fp32"
    optimization: Optimization | None = None
    threads: int | None = None
    license: str | None = None
    own: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be exported before any work is done."""
        variant_name(self.precision, self.optimization)
        if not self.checkpoints:
            raise ConfigError(f"{self.output}: no checkpoint to export")
        if self.target.suffix != ".onnx":  # a checkpoint in its place would be lost
            raise ConfigError(f"{self.output}: an exported file's name must end in .onnx")
        if self.license is not None and not _SPDX.fullmatch(self.license):
            raise ConfigError(
                f"not a license identifier: expected one of SPDX such as Apache-2.0, found "
                f"{self.license!r}"
            )

    @property
    def sources(self) -> tuple[Path, ...]:
        """The checkpoints as paths."""
        return tuple(Path(checkpoint) for checkpoint in self.checkpoints)

    @property
    def target(self) -> Path:
        """The output as a path."""
        return Path(self.output)

    @property
    def variant(self) -> str:
        """The variant's name: "fp32" for the plain file, "fp16", "int8" or "winograd"."""
        return variant_name(self.precision, self.optimization)


def variant_name(precision: WeightPrecision, optimization: Optimization | None = None) -> str:
    """Return the name of the variant that a precision and an optimization make.

    Raises:
        ConfigError: there is no such variant.

    Example:
        >>> variant_name("fp16"), variant_name("fp32", "winograd")
        ('fp16', 'winograd')
    """
    if precision not in get_args(WeightPrecision):
        known = ", ".join(get_args(WeightPrecision))
        raise ConfigError(f"unknown precision {precision!r}: expected one of {known}")
    if optimization is None:
        return precision
    if optimization not in get_args(Optimization):
        known = ", ".join(get_args(Optimization))
        raise ConfigError(f"unknown optimization {optimization!r}: expected {known}")
    if precision != "fp32":
        raise ConfigError(f"the optimization {optimization} needs precision fp32, not {precision}")
    return optimization


def default_output(
    checkpoint: Path, precision: WeightPrecision = "fp32", optimization: Optimization | None = None
) -> Path:
    """Return the file that a checkpoint is exported to: RUN.onnx beside the folder RUN.

    The path is relative where the checkpoint's is, to the same place.

    Raises:
        ConfigError: there is no such variant.

    Example:
        >>> default_output(Path("/runs/unet/best.pt")).as_posix()
        '/runs/unet.onnx'
        >>> default_output(Path("/runs/unet/best.pt"), "int8").as_posix()
        '/runs/unet-int8.onnx'
    """
    variant = variant_name(precision, optimization)
    suffix = "" if variant == "fp32" else f"-{variant}"
    run = Path(os.path.abspath(checkpoint)).parent  # noqa: PTH100, a link keeps its own place
    output = run.parent / f"{checkpoint.resolve().parent.name}{suffix}.onnx"
    return output if checkpoint.is_absolute() else Path(os.path.relpath(output))


def find_checkpoints(folder: str | Path) -> tuple[Path, ...]:
    """Return the best checkpoint of every run below `folder`, in the order of their paths.

    Raises:
        CheckpointError: there is none.
    """
    found = tuple(sorted(Path(folder).rglob(BEST)))
    if not found:
        raise CheckpointError(
            f"{folder}: no finished run of train-unet ({BEST}) below this folder; train one first"
        )
    return found


def check_files(requests: Sequence[ExportRequest]) -> None:
    """Check before any work that each request has its checkpoints, and a file of its own to write.

    Raises:
        CheckpointError, DataError: a checkpoint, or the folder of a data set, is missing.
        ConfigError: two requests would write one file or card.
        OutputError: a file cannot be written.

    Example:
        >>> check_files(
        ...     [ExportRequest(["a.pt"], "net.onnx"), ExportRequest(["b.pt"], "./net.onnx")]
        ... )
        Traceback (most recent call last):
        runtime.core.errors.ConfigError: net.onnx: b.pt would replace the file of a.pt; give --out
    """
    owners: dict[Path, ExportRequest] = {}
    for request in requests:
        owner = owners.setdefault(request.target.resolve(), request)
        if owner is not request:
            raise ConfigError(
                f"{request.target}: {request.sources[0]} would replace the file of "
                f"{owner.sources[0]}; give --out"
            )
    for request in requests:
        for source in request.sources:
            if (found := found_instead(source)) is not None:
                raise CheckpointError(f"{source}: expected a checkpoint, found {found}")
        if request.data is not None and not os.path.isdir(request.data):  # noqa: PTH112, as in read_dataset
            raise DataError(f"{request.data}: no such folder")
        ensure_replaceable(request.target)
