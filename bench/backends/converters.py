"""Backends with a file format of their own, into which the ONNX file is converted at one size."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.backends.backend import OpenRequest
from runtime.core.errors import ModelError
from runtime.model.onnx_file import read_onnx

if TYPE_CHECKING:
    from bench.backends.worker import Floats, Inference

_WINOGRAD_MEMORY_LEVEL, _NO_WINOGRAD = 3, 0  # a hint of MNN and its value (Interpreter.hpp)

# MNN's command `mnnconvert` installs a logging package with pip if there is none, and reports the
# machine's ID and the file's sizes to its maker. The library below it does neither.
_MNN_CONVERT = "import MNN, _tools, sys; sys.exit(not _tools.mnnconvert(sys.argv))"


def open_mnn(request: OpenRequest) -> "Inference":
    """Open MNN, in float32.

    Raises:
        ModelError: MNN cannot convert the file.
    """
    return _open_mnn(request, winograd=True)


def open_mnn_without_winograd(request: OpenRequest) -> "Inference":
    """Open MNN with direct 3x3 convolutions.

    By default MNN uses Winograd's minimal filtering, in tiles so large that rounding errors show.

    Raises:
        ModelError: MNN cannot convert the file.
    """
    return _open_mnn(request, winograd=False)


def _open_mnn(request: OpenRequest, *, winograd: bool) -> "Inference":
    converted = Path(request.folder) / "network.mnn"
    options = {"-f": "ONNX", "--modelFile": request.model, "--MNNModel": str(converted)}
    options["--bizCode"] = "network"  # the name of an author, which is mandatory
    words = [word for option in options.items() for word in option]
    _convert("MNN", [sys.executable, "-c", _MNN_CONVERT, *words], (converted,))
    import MNN.nn
    from MNN import expr

    file = read_onnx(request.model)
    manager = MNN.nn.create_runtime_manager(
        ({"backend": "CPU", "numThread": request.threads, "precision": "high"},)
    )
    if not winograd:
        manager.set_hint(_WINOGRAD_MEMORY_LEVEL, _NO_WINOGRAD)
    network = MNN.nn.load_module_from_file(
        str(converted),
        [file.inputs[0].name],
        [file.outputs[0].name],
        runtime_manager=manager,
    )

    def infer(image: "Floats") -> "Floats":
        pixels = expr.placeholder(list(image.shape), expr.NCHW, expr.float)
        pixels.write(image)
        probability = expr.convert(network.forward([pixels])[0], expr.NCHW)
        return np.array(probability.read(), np.float32)

    return infer


def open_ncnn(request: OpenRequest) -> "Inference":
    """Open ncnn, in float32 on the CPU.

    Raises:
        ModelError: pnnx cannot convert the file, or ncnn cannot run it.
    """
    folder = Path(request.folder)
    # pnnx writes into the folder of its input.
    linked = folder / "network.onnx"
    linked.symlink_to(Path(request.model).resolve())
    weights, layers = folder / "network.ncnn.bin", folder / "network.ncnn.param"
    shape = f"inputshape=[1,3,{request.height},{request.width}]f32"
    _convert("pnnx", [str(_pnnx()), str(linked), shape, "fp16=0"], (weights, layers))
    import ncnn

    network: Any = ncnn.Net()
    options = network.opt
    options.num_threads = request.threads
    options.use_vulkan_compute = False
    options.use_fp16_storage = options.use_fp16_packed = options.use_fp16_arithmetic = False
    options.use_bf16_storage = False
    if network.load_param(str(layers)) or network.load_model(str(weights)):
        raise ModelError("ncnn cannot load the network: it has an unknown layer")
    (input_name,), (output_name,) = network.input_names(), network.output_names()

    def infer(image: "Floats") -> "Floats":
        with network.create_extractor() as extractor:
            extractor.input(input_name, ncnn.Mat(image[0]))
            code, probability = extractor.extract(output_name)
            if code:
                raise ModelError(f"ncnn cannot run the network (code {code})")
            return np.array(probability, np.float32)[None]

    return infer


def _pnnx() -> Path:
    # Importing the package would import PyTorch.
    spec = find_spec("pnnx")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "pnnx"


def _convert(name: str, command: list[str], expected: tuple[Path, ...]) -> None:
    """Run a converter.

    Args:
        name: name of the backend, for messages.
        command: the command line.
        expected: files that it must write.

    Raises:
        ModelError: it fails, or an expected file is missing.
    """
    finished = subprocess.run(  # noqa: S603, a program that came with the backend
        command, capture_output=True, text=True, errors="replace", check=False
    )
    if finished.returncode or not all(path.is_file() for path in expected):
        lines = [
            line.strip()
            for line in (finished.stdout + finished.stderr).splitlines()
            if line.strip()
        ]
        reason = " / ".join(lines[-2:])[:200] or f"exit code {finished.returncode}"
        raise ModelError(f"{name} cannot convert the file: {reason}")
