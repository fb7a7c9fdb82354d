"""Sessions of ONNX Runtime on graphs in memory, for the comparisons at export."""

import onnxruntime

from runtime.model.predictor import PROVIDERS


def open_session(
    content: bytes, threads: int, *, optimized: bool = True
) -> onnxruntime.InferenceSession:
    """Return a session on the CPU.

    Args:
        content: a serialized ONNX model.
        optimized: whether ONNX Runtime may rewrite the graph; without, every node is computed as
            it stands, INT8 in float32 between its quantizations.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if not optimized:
        level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.graph_optimization_level = level
    return onnxruntime.InferenceSession(content, options, providers=list(PROVIDERS))
