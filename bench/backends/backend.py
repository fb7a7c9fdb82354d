"""Backends: engines that run the same network, what each of them needs, and their limits."""

from dataclasses import dataclass, replace
from pathlib import Path

from runtime.core.settings import check_settings, setting

REFERENCE = "onnxruntime"
"""The backend that the others are compared with, in numbers and in time."""


@dataclass(frozen=True, slots=True)
class Backend:
    """An engine that runs a network.

    Attributes:
        name: unique name, which `--backend` takes.
        entry: "module:function". The worker calls it with an `OpenRequest`. It returns a function
            from a prepared input, float32 [1, 3, H, W], to probabilities, float32 [1, 1, H, W], in
            a new array.
        modules: modules that must be installed.
        distributions: packages whose versions are reported.
        extra: the toolkit's extra that installs them.
        model: the ONNX file that it opens; None for the file that is compared.
    """

    name: str
    entry: str
    modules: tuple[str, ...] = ()
    distributions: tuple[str, ...] = ()
    extra: str = "backends"
    model: Path | None = None


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """The arguments with which a worker opens a backend.

    Attributes:
        entry: the backend's entry point.
        model: path of the ONNX file.
        checkpoint: path of the checkpoint that the file was exported from; None if unknown.
        height, width: input size in pixels.
        threads: number of threads.
        inputs: `.npy` file of the prepared inputs, float32 [N, 3, H, W].
        outputs: `.npy` file to write the probabilities to, float32 [N, 1, H, W].
        folder: a folder of the backend's own, for converted files.
    """

    entry: str
    model: str
    checkpoint: str | None
    height: int
    width: int
    threads: int
    inputs: str
    outputs: str
    folder: str


@dataclass(frozen=True, slots=True)
class BackendLimits:
    """Limits of a comparison of backends.

    Attributes:
        runs: largest number of rounds.
        seconds: time after which no further round starts.
        tolerance: largest absolute difference of a probability with which a backend is timed. The
            default is a quarter of a gray level of 8 bits.
        limit_s: longest wait for a backend to open, conversion included, or to run, in seconds.

    Raises:
        ConfigError: a limit is out of its range.

    Example:
        >>> BackendLimits(runs=0)
        Traceback (most recent call last):
        runtime.core.errors.ConfigError: runs: expected 1 or more, found 0
    """

    runs: int = setting(
        30, help="Largest number of timed runs of each backend; a verdict needs 8.", minimum=1
    )
    seconds: float = setting(
        300.0, help="Start no further round after this time.", metavar="S", above=0
    )
    tolerance: float = setting(1e-3, above=0)
    limit_s: float = setting(300.0, above=0)

    def __post_init__(self) -> None:
        check_settings(self)


_ORT, _TORCH = ("onnxruntime",), ("torch",)
_READERS, _PYTORCH = "bench.backends.onnx_readers", "bench.backends.pytorch"
_CONVERTERS = "bench.backends.converters"

BACKENDS = (
    Backend(REFERENCE, f"{_READERS}:open_onnxruntime", _ORT, _ORT),
    Backend("predictor", f"{_READERS}:open_predictor", _ORT, ("seg-toolkit", "onnxruntime")),
    Backend("pytorch", f"{_PYTORCH}:open_eager", _TORCH, _TORCH, "train"),
    Backend("pytorch-channels-last", f"{_PYTORCH}:open_channels_last", _TORCH, _TORCH, "train"),
    Backend("openvino", f"{_READERS}:open_openvino", ("openvino",), ("openvino",)),
    Backend("openvino-as-shipped", f"{_READERS}:open_openvino_as_shipped", *2 * (("openvino",),)),
    Backend("mnn", f"{_CONVERTERS}:open_mnn", ("MNN",), ("mnn",)),
    Backend("mnn-without-winograd", f"{_CONVERTERS}:open_mnn_without_winograd", ("MNN",), ("mnn",)),
    Backend("ncnn", f"{_CONVERTERS}:open_ncnn", ("ncnn", "pnnx"), ("ncnn", "pnnx")),
)


def variant_backend(path: Path) -> Backend:
    """Return ONNX Runtime with another variant of the network, named after its file.

    Example:
        >>> variant_backend(Path("nets/unet-int8.onnx")).name
        'unet-int8.onnx'
    """
    (reference,) = (backend for backend in BACKENDS if backend.name == REFERENCE)
    return replace(reference, name=path.name, model=path)
