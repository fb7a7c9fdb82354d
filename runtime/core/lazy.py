"""Public names of a package, imported when they are first used.

A package lists its public names once, as imports for type checkers:

    if TYPE_CHECKING:
        from package.module import Name as Name

    __getattr__, __dir__ = lazy_imports(__name__)

So `import runtime` and a command's `--help` need not wait for numpy, ONNX Runtime or PyTorch.
"""

import re
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

_IMPORT = re.compile(r"^    from (\S+) import (\([^)]*\)|.*)$", re.MULTILINE)
_NAME = re.compile(r"\b(\w+) as \1\b")


def lazy_imports(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return a package's `__getattr__` and `__dir__` (PEP 562); the former also gives `__all__`.

    The public names are the indented imports of the form `from module import Name as Name` in the
    package's source, which is read at the first use of a name.

    Args:
        package: the package's `__name__`.
    """

    @cache
    def modules() -> dict[str, str]:
        loader: Any = sys.modules[package].__loader__
        imports = _IMPORT.findall(loader.get_source(package))
        return {name: module for module, names in imports for name in _NAME.findall(names)}

    def public() -> list[str]:
        return sorted(name for name in modules() if not name.startswith("_"))

    def get(name: str) -> Any:
        if name == "__all__":
            return public()
        if name not in modules():
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(modules()[name]), name)

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *modules()})

    return get, names
