"""The one place that opens ONNX Runtime sessions, with the same options and errors for everyone."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.core.errors import ConfigError, ModelError
from runtime.core.machine import available_cores

if TYPE_CHECKING:
    import onnxruntime

PROVIDERS = ("CPUExecutionProvider",)
_SILENT = 4
"""ONNX Runtime's log level "fatal": its errors are raised, and its log would name the file too."""
_MAX_REASON = 500
"""Characters of an error of ONNX Runtime that are shown."""


def open_session(
    model: Path | bytes,
    *,
    threads: int | None = None,
    providers: Sequence[str] = PROVIDERS,
    optimize: bool = True,
    arena: bool = True,
) -> "onnxruntime.InferenceSession":
    """Open an ONNX Runtime session.

    Args:
        model: an ONNX file, or a serialized graph.
        threads: of the computation, the calling one included; by default the cores that the
            process may use.
        providers: execution providers, in order of preference.
        optimize: whether ONNX Runtime may rewrite the graph. Without, it computes every node as
            written: INT8 layers in float32 between their quantization nodes.
        arena: whether ONNX Runtime keeps freed memory for the next run.

    Raises:
        ConfigError: there are no providers, or one is not available.
        ModelError: ONNX Runtime cannot load the model.
    """
    import onnxruntime

    _check_providers(providers, onnxruntime.get_available_providers())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or available_cores()
    options.inter_op_num_threads = 1
    options.log_severity_level = _SILENT
    options.enable_cpu_mem_arena = arena
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    content = model if isinstance(model, bytes) else str(model)
    try:
        return onnxruntime.InferenceSession(content, options, providers=list(providers))
    except Exception as error:  # ONNX Runtime's errors have no common base class
        name = "graph in memory" if isinstance(model, bytes) else str(model)
        raise ModelError(f"{name}: ONNX Runtime cannot load it: {reason_of(error)}") from error


def _check_providers(providers: Sequence[str], available: Sequence[str]) -> None:
    choices = ", ".join(available)
    if not providers:
        raise ConfigError(f"providers: none given; choose from {choices}")
    unavailable = [name for name in providers if name not in available]
    if unavailable:
        raise ConfigError(
            f"providers: {', '.join(unavailable)} not available here; choose from {choices}"
        )


def reason_of(error: Exception) -> str:
    r"""Return an error's message on one line, shortened in the middle where it is very long.

    ONNX Runtime begins with where it failed and ends with why, so both ends are worth keeping.

    Example:
        >>> reason_of(RuntimeError("[ONNXRuntimeError] : 1 : FAIL :\n  no kernel"))
        '[ONNXRuntimeError] : 1 : FAIL : no kernel'
    """
    text = " ".join(str(error).split()) or type(error).__name__
    if len(text) <= _MAX_REASON:
        return text
    half = _MAX_REASON // 2
    return f"{text[:half]} ... {text[-half:]}"
