"""ONNX Runtime for browsers: the files of one version of the npm package `onnxruntime-web`."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from runtime.core.errors import MissingExtraError, UseError

VERSION = "1.30.0"
PACKAGE = "onnxruntime-web"
WASM_SCRIPT, WASM_BINARY = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
WEBGPU_SCRIPT = "ort.webgpu.bundle.min.mjs"
SHA256 = {
    WASM_SCRIPT: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    WASM_BINARY: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    WEBGPU_SCRIPT: "0730816731ce2cdfb06f273da065d4a1c7091eb9d1756a83b2916c8a89d015e2",
    "ort-wasm-simd-threaded.asyncify.wasm": (
        "39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da"
    ),
}
"""Of the files that a page needs, by their names in the package's folder `dist`."""
_INSTALL = (
    f"run npm install {PACKAGE}@{VERSION} there, or give --onnxruntime-web DIR, the folder where "
    "it was run"
)


@dataclass(frozen=True, slots=True)
class WebRuntime:
    """Files of ONNX Runtime for browsers whose checksums have been compared.

    Attributes:
        folder: the folder that holds them.
    """

    folder: Path

    def content(self, name: str) -> bytes:
        """Return a file's bytes.

        Raises:
            UseError: it is not the file that this version of the package has.
        """
        path = self.folder / name
        try:
            content = path.read_bytes()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise UseError(f"{path}: cannot be read, {reason}") from error
        if hashlib.sha256(content).hexdigest() != SHA256[name]:
            raise UseError(f"{path}: is not the file of {PACKAGE} {VERSION}; {_INSTALL}")
        return content


def find_web_runtime(folder: str | Path | None = None) -> WebRuntime:
    """Find the npm package `onnxruntime-web`.

    Args:
        folder: where `npm install` was run; by default the current folder, or that of this package,
            where `make page-tools` runs it.

    Raises:
        MissingExtraError: it is not installed there.
    """
    folders = (Path(), Path(__file__).parent) if folder is None else (Path(folder),)
    for candidate in folders:
        found = candidate / "node_modules" / PACKAGE / "dist"
        if (found / WASM_SCRIPT).is_file():
            return WebRuntime(found)
    where = "the current folder" if folder is None else f"{folder}:"
    raise MissingExtraError(f"{where} has no npm package {PACKAGE}; {_INSTALL}")
