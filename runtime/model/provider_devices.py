"""Providers as they are on this machine: installed or not, on which device, in which arithmetic.

A provider is part of the installed ONNX Runtime, or a plugin: a package of its own, whose library
ONNX Runtime loads (https://onnxruntime.ai/docs/execution-providers/plugin-ep-libraries/usage.html).
A plugin is imported only when it is asked for.
"""

import importlib
import pkgutil
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.core.errors import ProviderError, reason_of
from runtime.model.providers import (
    AUTO,
    CPU,
    PLUGIN,
    PROVIDERS,
    Arithmetic,
    Options,
    Provider,
    ProviderRequest,
    only,
)

if TYPE_CHECKING:
    import onnxruntime

_ARITHMETICS: tuple[Arithmetic, ...] = ("float32", "bf16", "fp16")
_CAPABILITIES: dict[str, Arithmetic] = {"FP32": "float32", "BF16": "bf16", "FP16": "fp16"}
"""OpenVINO's names, in the metadata of its devices."""


@dataclass(frozen=True, slots=True)
class Target:
    """A provider as it is on this machine.

    Attributes:
        provider: its entry in the table.
        version: of the plugin, or of ONNX Runtime for one of its own.
        device: what it computes on, in words.
        arithmetics: what it says that it can compute in; empty where it does not say.
        devices: ONNX Runtime's `OrtEpDevice`s of a plugin; empty for a provider of its own.
    """

    provider: Provider
    version: str
    device: str
    arithmetics: tuple[Arithmetic, ...]
    devices: tuple[Any, ...] = ()

    def resolve(self, arithmetic: Arithmetic) -> Arithmetic:
        """Return the arithmetic that is computed in; "default" where it is not known.

        Raises:
            ProviderError: the provider does not compute in it.
        """
        if arithmetic == "default":
            # OpenVINO takes bf16 wherever the processor has it (openvino#28032).
            stated: Arithmetic = "bf16" if "bf16" in self.arithmetics else "float32"
            return stated if self.arithmetics else arithmetic
        choices = self.choices
        if arithmetic not in choices:
            raise ProviderError(
                f"{self.provider.name}: it cannot be set to compute in {arithmetic} on "
                f"{self.device}; it takes {', '.join(choices) or 'no arithmetic'}"
            )
        return arithmetic

    @property
    def choices(self) -> tuple[Arithmetic, ...]:
        """The arithmetics that can be requested."""
        offered = self.arithmetics or _ARITHMETICS
        return tuple(a for a in offered if self.provider.options(a, 1, 1) is not None)

    def add_to(
        self,
        options: "onnxruntime.SessionOptions",
        arithmetic: Arithmetic,
        threads: int,
        parallel: int,
    ) -> list[tuple[str, Options]]:
        """Add the provider to a session's options, and return the session's `providers`."""
        given = dict(self.provider.options(arithmetic, threads, parallel) or {})
        if not self.devices:
            return [(self.provider.execution_provider, given)]
        options.add_provider_for_devices(list(self.devices), given)
        return []


def find_provider(name: str) -> Target:
    """Return a provider as it is on this machine, after its plugin is loaded.

    Raises:
        ProviderError: there is no such provider, it is not installed, its library does not fit this
            ONNX Runtime, or the machine has no device for it.

    Example:
        >>> find_provider("cpu").arithmetics
        ('float32',)
    """
    import onnxruntime

    provider = PROVIDERS.get(name) or _unlisted(name)
    # The plugin first: once it is loaded, ONNX Runtime lists it among its own providers too.
    if find_spec(provider.module) is not None:
        _load_plugin(provider)
        return _target(provider, onnxruntime.get_ep_devices())
    if provider.execution_provider in onnxruntime.get_available_providers():
        arithmetics: tuple[Arithmetic, ...] = ("float32",) if name == CPU else ()
        return Target(provider, onnxruntime.__version__, name, arithmetics)
    system = platform.system()
    if provider.system not in ("", system):
        raise ProviderError(f"{name}: this provider is not available for {system}")
    raise ProviderError(f"{name}: this provider is not installed; pip install {provider.package}")


def check_available(request: ProviderRequest) -> None:
    """Find out whether a provider is there, and computes in the arithmetic, before a long run.

    Raises:
        ProviderError: it is not, or does not; "auto" always is.
    """
    if request.provider != AUTO:
        find_provider(request.provider).resolve(request.arithmetic)


def installed_providers() -> tuple[str, ...]:
    """Return the names of the installed providers, whether they work or not: `PROVIDERS` first.

    Example:
        >>> "cpu" in installed_providers()
        True
    """
    import onnxruntime

    own = onnxruntime.get_available_providers()
    plugins = {module.name for module in pkgutil.iter_modules()}
    listed = [
        name
        for name, provider in PROVIDERS.items()
        if provider.execution_provider in own or provider.module in plugins
    ]
    others = plugins - {provider.module for provider in PROVIDERS.values()}
    names = (module.removeprefix(PLUGIN) for module in others if module.startswith(PLUGIN))
    return (*listed, *sorted(name.replace("_", "-") for name in names))


def _unlisted(name: str) -> Provider:
    """Return an entry for an installed plugin that `PROVIDERS` does not list."""
    provider = Provider(name, "", f"onnxruntime-ep-{name}", only(default={}))
    if not provider.module.isidentifier() or find_spec(provider.module) is None:
        near = get_close_matches(name.lower(), (*PROVIDERS, AUTO), 1, cutoff=0.75)
        if near:
            raise ProviderError(f"provider: there is no {name!r}; did you mean {near[0]!r}?")
        raise ProviderError(
            f"provider: there is no {name!r}; choose from {', '.join(PROVIDERS)}, {AUTO}, or the "
            "name of an installed package onnxruntime-ep-NAME"
        )
    with _naming(provider):
        first = importlib.import_module(provider.module).get_ep_names()[0]
    return replace(provider, execution_provider=first)


def _load_plugin(provider: Provider) -> None:
    """Let ONNX Runtime load a plugin's library, once in a process."""
    import onnxruntime

    with _naming(provider):
        _check_files(provider)
        devices = onnxruntime.get_ep_devices()
        loaded = {device.ep_metadata.get("library_path") for device in devices}
        path = importlib.import_module(provider.module).get_library_path()
        try:
            if path not in loaded:
                onnxruntime.register_execution_provider_library(provider.name, path)
        except Exception as error:  # ONNX Runtime's errors have no common base class
            if "already registered" not in str(error):  # a plugin without a device is not listed
                raise


def _check_files(provider: Provider) -> None:
    """Compare the sizes of a plugin's files with those installed: a cut library ends the process.

    The system maps a library by its header, and sends SIGBUS where the file ends before.

    Raises:
        OSError: a file is missing, or has another size.
    """
    try:
        files = metadata.distribution(provider.package).files or []
    except metadata.PackageNotFoundError:  # found on the path without having been installed
        return
    for file in files:
        size = Path(str(file.locate())).stat().st_size
        if file.size not in (None, size):
            raise OSError(f"{file} has {size} bytes, {file.size} were installed")


@contextmanager
def _naming(provider: Provider) -> Iterator[None]:
    """Name the plugin in the errors of its import and of its library, which may be any."""
    import onnxruntime

    try:
        yield
    except Exception as error:
        raise ProviderError(
            f"{provider.name}: ONNX Runtime {onnxruntime.__version__} cannot load the library of "
            f"{provider.package}: {reason_of(error)}"
        ) from error


def _target(provider: Provider, devices: Any) -> Target:
    import onnxruntime

    own = [device for device in devices if device.ep_name == provider.execution_provider]
    if not own:
        seen = sorted({f"{d.device.type.name} {d.device.vendor}".strip() for d in devices})
        raise ProviderError(
            f"{provider.name}: it has no device on this machine, where ONNX Runtime sees "
            f"{', '.join(seen)}"
        )
    kinds = onnxruntime.OrtHardwareDeviceType
    ranks = {kinds.CPU: 0, kinds.GPU: 1}
    first = min(own, key=lambda device: ranks.get(device.device.type, 2))
    facts = first.ep_metadata
    stated = facts.get("OPTIMIZATION_CAPABILITIES", "").split()
    return Target(
        provider,
        facts.get("version", ""),
        facts.get("FULL_DEVICE_NAME") or first.device.type.name,
        tuple(_CAPABILITIES[name] for name in stated if name in _CAPABILITIES),
        (first,),
    )
