"""Backends that read the ONNX file itself."""

from pathlib import Path
from typing import TYPE_CHECKING

from bench.backends.backend import Job
from runtime.core.errors import ModelError
from runtime.model.predictor import Predictor
from runtime.model.sessions import open_session

if TYPE_CHECKING:
    from bench.backends.worker import Run


def open_predictor(job: Job) -> "Run":
    """This toolkit's `Predictor.run`, its checks of input and output included."""
    predictor = Predictor(job.model, size=(job.height, job.width), threads=job.threads)
    return lambda image: predictor.run(image)[:, None]


def open_onnxruntime(job: Job) -> "Run":
    """ONNX Runtime's session, called bare."""
    session = open_session(Path(job.model), threads=job.threads)
    (given,), (wanted,) = session.get_inputs(), session.get_outputs()
    name, names = given.name, [wanted.name]
    return lambda image: session.run(names, {name: image})[0]


def open_openvino(job: Job) -> "Run":
    """OpenVINO, for one stream of float32 at a fixed size.

    Its telemetry is in its converter (`ovc`), which is not used here.

    Raises:
        ModelError: OpenVINO takes another number of threads than it was asked for.
    """
    import openvino

    core = openvino.Core()
    model = core.read_model(job.model)
    model.reshape([1, 3, job.height, job.width])
    compiled = core.compile_model(
        model,
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": job.threads,
            # Where the processor has bfloat16, that is the default.
            "INFERENCE_PRECISION_HINT": "f32",
        },
    )
    threads = compiled.get_property("INFERENCE_NUM_THREADS")
    if threads != job.threads:
        raise ModelError(f"OpenVINO: expected {job.threads} threads, found {threads}")
    request = compiled.create_infer_request()
    # Without a copy the array would be the request's own, which the next run overwrites.
    return lambda image: request.infer([image], share_inputs=True)[0].copy()
