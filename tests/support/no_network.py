"""Running the toolkit's commands where every attempt to reach a network ends the process.

Python's own sockets are refused by an audit hook on any system. On Linux the kernel ends the
process too, so that libraries in C count: a seccomp filter on `socket(2)`
(https://docs.kernel.org/userspace-api/seccomp_filter.html).
"""

import ctypes
import importlib
import os
import platform
import struct
import sys
import tomllib
from pathlib import Path

_EVENTS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
_SOCKET_CALL = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_INET, _INET6 = 2, 10
_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2
REFUSED = 97
"""The exit code where Python's sockets were asked for."""


def refuse_network() -> None:
    """From now on, end this process and its children where they open an internet socket."""
    sys.addaudithook(_refuse)
    if sys.platform == "linux" and platform.machine() in _SOCKET_CALL:
        _refuse_in_kernel(*_SOCKET_CALL[platform.machine()])


def _refuse(event: str, _: tuple[object, ...]) -> None:
    if event in _EVENTS:
        print(f"refused: {event}", file=sys.stderr, flush=True)  # noqa: T201
        os._exit(REFUSED)


def _refuse_in_kernel(architecture: int, call: int) -> None:
    steps = (
        (_LOAD, 0, 0, 4),  # the architecture of the call's number
        (_EQUAL, 0, 5, architecture),
        (_LOAD, 0, 0, 0),  # the number
        (_EQUAL, 0, 3, call),
        (_LOAD, 0, 0, 16),  # the first argument: the family
        (_EQUAL, 2, 0, _INET),
        (_EQUAL, 1, 0, _INET6),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _KILL),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = struct.pack("H6xP", len(steps), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((_NO_NEW_PRIVILEGES, 1, 0, 0, 0), (_SECCOMP, _FILTER, program, 0, 0)):
        if libc.prctl(*arguments):
            raise OSError(ctypes.get_errno(), "prctl")


def main(commands: list[list[str]]) -> None:
    """Run commands by their names in pyproject.toml, in this process, one after the other."""
    project = Path(__file__).resolve().parents[2] / "pyproject.toml"
    scripts: dict[str, str] = tomllib.loads(project.read_text())["project"]["scripts"]
    refuse_network()
    for name, *arguments in commands:
        module, function = scripts[name].split(":")
        command = getattr(importlib.import_module(module), function)
        try:
            command(arguments, prog_name=name)
        except SystemExit as end:
            if end.code:
                sys.exit(f"{name} {' '.join(arguments)}: exit code {end.code}")
