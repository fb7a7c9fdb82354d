"""Backends that read the ONNX file directly."""

from pathlib import Path
from typing import TYPE_CHECKING

from bench.backends.backend import OpenRequest
from runtime.core.errors import ModelError
from runtime.model.predictor import Predictor
from runtime.model.sessions import open_session

if TYPE_CHECKING:
    from bench.backends.worker import Inference


def open_predictor(request: OpenRequest) -> "Inference":
    """Open this toolkit's `Predictor`; its checks of input and output are timed too."""
    size = (request.height, request.width)
    predictor = Predictor(request.model, size=size, threads=request.threads)
    return lambda image: predictor.run(image)[:, None]


def open_onnxruntime(request: OpenRequest) -> "Inference":
    """Open a plain ONNX Runtime session."""
    session = open_session(Path(request.model), threads=request.threads)
    (image_info,), (output_info,) = session.get_inputs(), session.get_outputs()
    name, outputs = image_info.name, [output_info.name]
    return lambda image: session.run(outputs, {name: image})[0]


def open_openvino(request: OpenRequest) -> "Inference":
    """Open OpenVINO, for one stream of float32 at a fixed size."""
    # The default is bfloat16 on processors that have it.
    return _open_openvino(request, {"INFERENCE_PRECISION_HINT": "f32"})


def open_openvino_as_shipped(request: OpenRequest) -> "Inference":
    """Open OpenVINO in the arithmetic that it chooses, bfloat16 on processors that have it."""
    return _open_openvino(request, {})


def _open_openvino(request: OpenRequest, precision: dict[str, str]) -> "Inference":
    """Open OpenVINO for one stream at a fixed size.

    OpenVINO's telemetry is part of its converter (`ovc`), which is not used here.

    Raises:
        ModelError: OpenVINO does not use the requested number of threads.
    """
    import openvino

    core = openvino.Core()
    model = core.read_model(request.model)
    model.reshape([1, 3, request.height, request.width])
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": request.threads,
        **precision,
    }
    compiled = core.compile_model(model, "CPU", settings)
    threads = compiled.get_property("INFERENCE_NUM_THREADS")
    if threads != request.threads:
        raise ModelError(f"OpenVINO uses another number of threads: {threads}")
    infer_request = compiled.create_infer_request()
    # The request overwrites its output in the next run, so the array is copied.
    return lambda image: infer_request.infer([image], share_inputs=True)[0].copy()
