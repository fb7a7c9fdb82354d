"""The one place that opens ONNX Runtime sessions, with the same options and errors for everyone."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.core.errors import ModelError, ProviderError, reason_of
from runtime.core.machine import available_cores
from runtime.model.provider_devices import Target, find_provider
from runtime.model.providers import CPU, Arithmetic, Options, ProviderRequest

if TYPE_CHECKING:
    import onnxruntime

_SILENT = 4
"""ONNX Runtime's log level "fatal": its errors are raised, and its log would name the file too."""
_FREE_DIMENSIONS = ("batch", "height", "width")
"""Names of the dynamic sides of an exported file's input."""


@dataclass(frozen=True, slots=True)
class Engine:
    """The engine that computes a network, which every score and every time states.

    Attributes:
        provider: the toolkit's name of the provider.
        version: of the provider's plugin, or of ONNX Runtime.
        device: what the provider computes on.
        arithmetic: number format of the operators that the file states in float32; "default" where
            the provider does not say which it chooses.
        threads: of the computation.
        nodes: of the network, after ONNX Runtime's own rewriting, that the provider computes; None
            where ONNX Runtime does not tell.
        cpu_nodes: those that it leaves to ONNX Runtime's CPU provider.
        int8: whether the file has layers in INT8, beside those that `arithmetic` is of.

    Example:
        >>> str(Engine("openvino", "1.8.1", "Intel Xeon", "bf16", 2, nodes=40, cpu_nodes=10))
        'openvino 1.8.1 on Intel Xeon, bf16, 10 of 50 nodes on the CPU provider'
    """

    provider: str
    version: str
    device: str
    arithmetic: Arithmetic
    threads: int
    nodes: int | None = None
    cpu_nodes: int = 0
    int8: bool = False

    def __str__(self) -> str:
        arithmetic = "int8 and " if self.int8 else ""
        arithmetic += "default arithmetic" if self.arithmetic == "default" else self.arithmetic
        device = "" if self.device == self.provider else f" on {self.device}"
        text = f"{self.provider} {self.version}{device}, {arithmetic}"
        if self.nodes is not None and self.cpu_nodes:
            total = self.nodes + self.cpu_nodes
            text += f", {self.cpu_nodes} of {total} nodes on the CPU provider"
        return text


def open_session(
    model: Path | bytes,
    *,
    threads: int | None = None,
    optimize: bool = True,
    arena: bool = True,
) -> "onnxruntime.InferenceSession":
    """Open a session of ONNX Runtime's CPU provider, on which certificates are defined.

    Args:
        model: an ONNX file, or a serialized graph.
        threads: of the computation, the calling one included; by default the cores that the
            process may use.
        optimize: whether ONNX Runtime may rewrite the graph. Without, it computes every node as
            written: INT8 layers in float32 between their quantization nodes.
        arena: whether ONNX Runtime keeps freed memory for the next run.

    Raises:
        ModelError: ONNX Runtime cannot load the model.
    """
    import onnxruntime

    options = _options(threads or available_cores())
    options.enable_cpu_mem_arena = arena
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return _opened(model, options, [("CPUExecutionProvider", {})])


def open_engine(
    model: Path,
    request: ProviderRequest,
    *,
    threads: int,
    parallel: int = 1,
    shape: tuple[int, int, int] | None = None,
) -> tuple["onnxruntime.InferenceSession", Engine]:
    """Open a session of any provider, and say what will really compute it.

    ONNX Runtime falls back to the CPU without an error where it cannot load a provider
    (onnxruntime#23372). Here that is an error.

    Args:
        model: an ONNX file.
        request: the provider; not "auto".
        threads: of the computation.
        parallel: runs that will be made at once, from several threads.
        shape: (batch, height, width) of every run, which lets a provider compile for it; by
            default any that the file takes.

    Raises:
        ProviderError: the provider is not available, does not compute in the arithmetic, or took
            no node, or with `request.strict` not all.
        ModelError: ONNX Runtime cannot load the model.
    """
    target = find_provider(request.provider)
    arithmetic = target.resolve(request.arithmetic)
    # The thread that calls the session computes too, beside the session's own threads.
    options = _options(threads - parallel + 1)
    if request.provider != CPU:
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    for name, side in zip(_FREE_DIMENSIONS, shape or (), strict=False):
        options.add_free_dimension_override_by_name(name, side)
    providers = target.add_to(options, request.arithmetic, threads, parallel)
    session = _opened(model, options, providers)
    nodes, cpu_nodes = _assigned(session, target, str(model))
    if request.strict and cpu_nodes:
        raise ProviderError(
            f"{model}: {request.provider} leaves {cpu_nodes} of {(nodes or 0) + cpu_nodes} nodes "
            "to the CPU provider, and the provider is strict"
        )
    engine = Engine(
        request.provider, target.version, target.device, arithmetic, threads, nodes, cpu_nodes
    )
    return session, engine


def _options(threads: int) -> "onnxruntime.SessionOptions":
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _SILENT
    return options


def _opened(
    model: Path | bytes,
    options: "onnxruntime.SessionOptions",
    providers: list[tuple[str, Options]],
) -> "onnxruntime.InferenceSession":
    import onnxruntime

    content = model if isinstance(model, bytes) else str(model)
    try:
        return onnxruntime.InferenceSession(content, options, providers=providers or None)
    except Exception as error:  # ONNX Runtime's errors have no common base class
        name = "graph in memory" if isinstance(model, bytes) else str(model)
        raise ModelError(f"{name}: ONNX Runtime cannot load it: {reason_of(error)}") from error


def _assigned(
    session: "onnxruntime.InferenceSession", target: Target, where: str
) -> tuple[int | None, int]:
    """Return the numbers of nodes that the provider took, and that it left to the CPU."""
    name = target.provider.execution_provider
    if name not in session.get_providers():
        raise ProviderError(
            f"{where}: ONNX Runtime could not load {name}, and would compute on the CPU; are the "
            "libraries of its device installed?"
        )
    if target.provider.name == CPU or not hasattr(session, "get_provider_graph_assignment_info"):
        return None, 0
    counts = {part.ep_name: 0 for part in session.get_provider_graph_assignment_info()}
    for part in session.get_provider_graph_assignment_info():
        counts[part.ep_name] += len(part.get_nodes())
    taken = counts.pop(name, 0)
    if not taken:
        raise ProviderError(f"{where}: {target.provider.name} takes no node of this network")
    return taken, sum(counts.values())
