"""Backends with a file format of their own, converted from the ONNX file at one size."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.backends.backend import Job
from runtime.core.errors import ModelError
from runtime.model.onnx_file import read_onnx

if TYPE_CHECKING:
    from bench.backends.worker import Floats, Run

_WINOGRAD_MEMORY_LEVEL, _NO_WINOGRAD = 3, 0  # a hint of MNN and its value (Interpreter.hpp)

# MNN's own command, `mnnconvert`, installs a logging package with pip where there is none, and
# reports the machine's id and the file's sizes to its maker. The library below it does neither.
_MNN_CONVERT = "import MNN, _tools, sys; sys.exit(not _tools.mnnconvert(sys.argv))"


def open_mnn(job: Job) -> "Run":
    """MNN, in float32. Raises ModelError where it cannot convert the file."""
    return _open_mnn(job, winograd=True)


def open_mnn_without_winograd(job: Job) -> "Run":
    """MNN with 3x3 convolutions as they are defined.

    By default it computes them by Winograd's minimal filtering in tiles so large that the rounding
    shows.
    """
    return _open_mnn(job, winograd=False)


def _open_mnn(job: Job, *, winograd: bool) -> "Run":
    converted = Path(job.folder) / "network.mnn"
    options = {"-f": "ONNX", "--modelFile": job.model, "--MNNModel": str(converted)}
    options["--bizCode"] = "network"  # a name of the author's, which has to be there
    words = [word for option in options.items() for word in option]
    _convert("MNN", [sys.executable, "-c", _MNN_CONVERT, *words], (converted,))
    import MNN.nn
    from MNN import expr

    file = read_onnx(job.model)
    manager = MNN.nn.create_runtime_manager(
        ({"backend": "CPU", "numThread": job.threads, "precision": "high"},)
    )
    if not winograd:
        manager.set_hint(_WINOGRAD_MEMORY_LEVEL, _NO_WINOGRAD)
    network = MNN.nn.load_module_from_file(
        str(converted),
        [file.inputs[0].name],
        [file.outputs[0].name],
        runtime_manager=manager,
    )

    def run(image: "Floats") -> "Floats":
        pixels = expr.placeholder(list(image.shape), expr.NCHW, expr.float)
        pixels.write(image)
        probability = expr.convert(network.forward([pixels])[0], expr.NCHW)
        return np.array(probability.read(), np.float32)

    return run


def open_ncnn(job: Job) -> "Run":
    """ncnn, in float32 on the CPU. Raises ModelError where pnnx cannot convert the file."""
    folder = Path(job.folder)
    # pnnx writes beside what it reads.
    linked = folder / "network.onnx"
    linked.symlink_to(Path(job.model).resolve())
    weights, layers = folder / "network.ncnn.bin", folder / "network.ncnn.param"
    shape = f"inputshape=[1,3,{job.height},{job.width}]f32"
    _convert("pnnx", [str(_pnnx()), str(linked), shape, "fp16=0"], (weights, layers))
    import ncnn

    network: Any = ncnn.Net()
    options = network.opt
    options.num_threads = job.threads
    options.use_vulkan_compute = False
    options.use_fp16_storage = options.use_fp16_packed = options.use_fp16_arithmetic = False
    options.use_bf16_storage = False
    if network.load_param(str(layers)) or network.load_model(str(weights)):
        raise ModelError("ncnn: expected a network that it can load, found an unknown layer")
    (given,), (wanted,) = network.input_names(), network.output_names()

    def run(image: "Floats") -> "Floats":
        with network.create_extractor() as extractor:
            extractor.input(given, ncnn.Mat(image[0]))
            code, probability = extractor.extract(wanted)
            if code:
                raise ModelError(f"ncnn: expected the network to run, found code {code}")
            return np.array(probability, np.float32)[None]

    return run


def _pnnx() -> Path:
    # Its package would import PyTorch to find this path.
    spec = find_spec("pnnx")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "pnnx"


def _convert(name: str, command: list[str], expected: tuple[Path, ...]) -> None:
    """Run a converter. Raises ModelError where it fails, or did not write what it should."""
    ran = subprocess.run(  # noqa: S603, a program that came with the backend
        command, capture_output=True, text=True, errors="replace", check=False
    )
    if ran.returncode or not all(path.is_file() for path in expected):
        said = [line.strip() for line in (ran.stdout + ran.stderr).splitlines() if line.strip()]
        found = " / ".join(said[-2:])[:200] or f"exit code {ran.returncode}"
        raise ModelError(f"{name}: expected a file that it can convert, found: {found}")
