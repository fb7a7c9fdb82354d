"""Serving a page on this machine, with the headers that threads in a browser need."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from runtime.core.errors import ConfigError

HOST = "127.0.0.1"


class _Handler(SimpleHTTPRequestHandler):
    """Sends files, and isolates the page from others (https://web.dev/articles/coop-coep)."""

    extensions_map = {  # noqa: RUF012, overrides a class attribute
        **SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".js": "text/javascript",
        ".wasm": "application/wasm",
        ".onnx": "application/octet-stream",
    }

    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Write nothing: the command's output is for its user."""


@contextmanager
def page_server(folder: str | Path, port: int = 0) -> Iterator[ThreadingHTTPServer]:
    """Yield a server of `folder` that listens on 127.0.0.1 alone; `serve_forever` starts it.

    Args:
        port: 0 for one that is free.

    Raises:
        ConfigError: the port is in use or not allowed.
    """
    try:
        server = ThreadingHTTPServer((HOST, port), partial(_Handler, directory=str(folder)))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"port {port}: cannot be used, {reason}") from error
    with server:
        yield server
