"""What `--scheduler` names: worker processes of this machine, or a Dask scheduler that is there.

Both are checked without Dask, at once: its own attempts to reach a scheduler take long to give up.
"""

import re
import socket
from urllib.parse import urlsplit

from runtime.core.errors import ConfigError, DataError, printable
from runtime.core.json_files import read_json

_CONNECT_S = 5.0
_MAX_LOCAL = 9999


def local_workers(scheduler: str) -> int | None:
    """Return N of "local:N", or None for another scheduler.

    Raises:
        ConfigError: N is no number, or out of range.

    Example:
        >>> local_workers("local:4"), local_workers("tcp://10.0.0.5:8786")
        (4, None)
    """
    kind, _, number = scheduler.partition(":")
    if kind != "local":
        return None
    if not re.fullmatch("[1-9][0-9]{0,3}", number):
        raise ConfigError(
            f"--scheduler: expected local:N with N from 1 to {_MAX_LOCAL}, "
            f"found {printable(scheduler, 100)!r}"
        )
    return int(number)


def scheduler_address(scheduler: str) -> str:
    """Return the address of a scheduler, which its file may state.

    Raises:
        ConfigError: it is neither an address nor a file.
        DataError: the file cannot be read, or states no address.
    """
    if scheduler.endswith(".json"):
        content = read_json(scheduler, error=DataError)
        address = content.get("address") if isinstance(content, dict) else None
        if not isinstance(address, str):
            raise DataError(f"{scheduler}: not the file of a Dask scheduler, which has its address")
        return address
    if not re.fullmatch(r"(tcp|tls|ws|wss|ucx|inproc)://.+", scheduler):
        raise ConfigError(
            "--scheduler: expected local:N, tcp://HOST:PORT, tls://HOST:PORT or the scheduler's "
            f"JSON file, found {printable(scheduler, 100)!r}"
        )
    return scheduler


def ensure_reachable(scheduler: str) -> None:
    """Raise an error unless "local:N" is a valid number, or something listens at the address.

    Raises:
        ConfigError: the name is of no known form, or nothing answers within five seconds.
        DataError: the scheduler's file cannot be read.
    """
    if local_workers(scheduler) is not None:
        return
    address = scheduler_address(scheduler)
    if not address.startswith(("tcp://", "tls://")):
        return
    try:
        parts = urlsplit(address)
        place = parts.hostname or "", parts.port or 0
        socket.create_connection(place, timeout=_CONNECT_S).close()
    except (OSError, ValueError) as error:
        raise no_scheduler(address) from error


def no_scheduler(address: str) -> ConfigError:
    """Return the error that no scheduler is at an address.

    Example:
        >>> print(no_scheduler("tcp://10.0.0.5:8786"))
        tcp://10.0.0.5:8786: no Dask scheduler answers there
    """
    return ConfigError(f"{printable(address)}: no Dask scheduler answers there")
