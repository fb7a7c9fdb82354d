"""Execution providers of ONNX Runtime: how one is asked for, and which settings each takes."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from runtime.core.errors import ConfigError
from runtime.core.settings import check_settings, setting

Arithmetic = Literal["default", "float32", "bf16", "fp16"]
"""Number format of the operators that a file states in float32."""
Options = Mapping[str, str]

CPU = "cpu"
AUTO = "auto"
PLUGIN = "onnxruntime_ep_"
"""How the names of plugins' modules begin."""


@dataclass(frozen=True, slots=True)
class ProviderRequest:
    """The provider that a network should run on.

    Attributes:
        provider: "cpu" (ONNX Runtime's own, on which certificates and scores are defined), another
            name in `PROVIDERS`, NAME of an installed package `onnxruntime-ep-NAME`, or "auto".
        arithmetic: number format; "default" is the provider's own choice.
        strict: refuse a network of which the provider leaves a part to the CPU.
        max_difference: for "auto", the largest difference of a probability to the golden pair.

    Raises:
        ConfigError: a setting is out of range, or needs another one.

    Example:
        >>> ProviderRequest("openvino", "float32").label
        'openvino, float32'
    """

    provider: str = setting(
        CPU,
        help="Execution provider: cpu, openvino, cuda, tensorrt, coreml, directml, webgpu, the "
        "NAME of an installed package onnxruntime-ep-NAME, or auto, the fastest that reproduces "
        "the certified numbers.",
        metavar="NAME",
    )
    arithmetic: Arithmetic = setting(
        "default",
        help="Number format of the provider's float32 operators; default is its own choice.",
    )
    strict: bool = setting(
        False,
        option="--strict-provider",
        help="Refuse a network of which the provider leaves a part to the CPU.",
    )
    max_difference: float | None = setting(
        None,
        help="For --provider auto: accept any arithmetic whose probabilities differ from the "
        "golden pair by at most this.",
        default_text="what the file allows",
        above=0.0,
        maximum=1.0,
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if self.max_difference is not None and self.provider != AUTO:
            raise ConfigError("max_difference: only the provider auto takes it")
        if self.provider == AUTO and self.arithmetic != "default":
            raise ConfigError("arithmetic: the provider auto chooses it")

    @property
    def label(self) -> str:
        """The provider, and the arithmetic where one is asked for."""
        return self.provider + ("" if self.arithmetic == "default" else f", {self.arithmetic}")


@dataclass(frozen=True, slots=True)
class Provider:
    """ONNX Runtime's name of a provider, and the settings that it takes.

    Attributes:
        name: the toolkit's name.
        execution_provider: ONNX Runtime's name.
        package: the package that brings it.
        options: returns its options for an arithmetic, threads and parallel runs; None where it
            cannot be told that arithmetic.
        system: the only one that has it, as `platform.system` names it; empty for several.
    """

    name: str
    execution_provider: str
    package: str
    options: Callable[[Arithmetic, int, int], Options | None]
    system: str = ""

    @property
    def module(self) -> str:
        """The module of its plugin."""
        return f"{PLUGIN}{self.name.replace('-', '_')}"


def only(**options: Options) -> Callable[[Arithmetic, int, int], Options | None]:
    """Return the `options` of a provider that takes the same for any number of threads."""
    return lambda arithmetic, _threads, _parallel: options.get(arithmetic)


def _openvino(arithmetic: Arithmetic, threads: int, parallel: int) -> Options:
    # https://docs.openvino.ai/2026/openvino-workflow/running-inference/inference-devices-and-modes/cpu-device.html
    config = {"INFERENCE_NUM_THREADS": str(threads), "NUM_STREAMS": str(parallel)}
    hint = {"float32": "f32", "bf16": "bf16", "fp16": "f16"}.get(arithmetic)
    if hint is not None:
        config["INFERENCE_PRECISION_HINT"] = hint
    return {"load_config": json.dumps({"CPU": config})}


PROVIDERS = {
    provider.name: provider
    for provider in (
        Provider(CPU, "CPUExecutionProvider", "onnxruntime", only(default={}, float32={})),
        Provider(
            "openvino",
            "OpenVINOExecutionProvider",
            "onnxruntime-ep-openvino",
            _openvino,
        ),
        # https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html
        Provider(
            "cuda",
            "CUDAExecutionProvider",
            "onnxruntime-gpu",
            only(default={}, float32={"use_tf32": "0"}),
        ),
        # https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html
        Provider(
            "tensorrt",
            "TensorrtExecutionProvider",
            "onnxruntime-gpu",
            only(
                default={},
                fp16={"trt_fp16_enable": "1"},
                bf16={"trt_bf16_enable": "1"},
            ),
        ),
        Provider("coreml", "CoreMLExecutionProvider", "onnxruntime", only(default={}), "Darwin"),
        Provider(
            "directml",
            "DmlExecutionProvider",
            "onnxruntime-directml",
            only(default={}),
            "Windows",
        ),
        Provider(
            "webgpu",
            "WebGpuExecutionProvider",
            "onnxruntime-ep-webgpu",
            only(default={}),
        ),
    )
}
