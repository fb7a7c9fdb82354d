"""What a backend is: who opens the network, and what has to be installed for it."""

from dataclasses import dataclass, replace
from pathlib import Path

REFERENCE = "onnxruntime"
"""The backend that the others are compared with, in numbers and in time."""


@dataclass(frozen=True, slots=True)
class Backend:
    """A runtime of the same network.

    Attributes:
        entry: "module:function", called with a `Job` in the worker; it returns what takes a
            prepared input, float32 [1, 3, H, W], and returns probabilities, float32 [1, 1, H, W],
            as an array of the caller's own.
        modules: that have to be installed.
        distributions: whose versions stand beside the figures.
        extra: of this toolkit, which brings them.
        model: the ONNX file that it opens; None for the one that is compared.
    """

    name: str
    entry: str
    modules: tuple[str, ...] = ()
    distributions: tuple[str, ...] = ()
    extra: str = "backends"
    model: Path | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is asked to run.

    Attributes:
        entry: the backend's.
        model: the ONNX file.
        checkpoint: what it was exported from; None where that is not known.
        height, width: of the input.
        threads: of the computation.
        inputs: file of the prepared inputs, float32 [N, 3, H, W] (.npy).
        outputs: file that the probabilities go to, float32 [N, 1, H, W] (.npy).
        folder: for what the backend converts, its own.
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


BACKENDS = (
    Backend(
        REFERENCE,
        "bench.backends.onnx_readers:open_onnxruntime",
        ("onnxruntime",),
        ("onnxruntime",),
    ),
    Backend(
        "predictor",
        "bench.backends.onnx_readers:open_predictor",
        ("onnxruntime",),
        ("seg-toolkit", "onnxruntime"),
    ),
    Backend("pytorch", "bench.backends.pytorch:open_eager", ("torch",), ("torch",), "train"),
    Backend(
        "pytorch-channels-last",
        "bench.backends.pytorch:open_channels_last",
        ("torch",),
        ("torch",),
        "train",
    ),
    Backend(
        "openvino",
        "bench.backends.onnx_readers:open_openvino",
        ("openvino",),
        ("openvino",),
    ),
    Backend("mnn", "bench.backends.converters:open_mnn", ("MNN",), ("mnn",)),
    Backend(
        "mnn-without-winograd",
        "bench.backends.converters:open_mnn_without_winograd",
        ("MNN",),
        ("mnn",),
    ),
    Backend("ncnn", "bench.backends.converters:open_ncnn", ("ncnn", "pnnx"), ("ncnn", "pnnx")),
)


def variant(path: Path) -> Backend:
    """Return another variant of the network, run by ONNX Runtime without this toolkit.

    Its name is the file's.
    """
    (reference,) = (backend for backend in BACKENDS if backend.name == REFERENCE)
    return replace(reference, name=path.name, model=path)
