"""The Dask cluster of a command: one that is there already, or worker processes of this machine."""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dask
from distributed import Client, KilledWorker, LocalCluster, get_worker
from distributed.client import ClosedClientError

from runtime.core.errors import ClusterError, ConfigError, DataError, printable
from runtime.core.json_files import read_json
from runtime.core.machine import package_versions

_LOCAL_CONFIG = {
    # A task that ended three workers is held to be the cause.
    "distributed.scheduler.allowed-failures": 2,
    # The web server cannot be left out, but shows nothing to other users of this machine.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.profile.enabled": False,
    # By default, each process looks after itself 50 times a second, for a display that nobody sees.
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
    # One process imports Dask, and the workers are forked from it.
    "distributed.worker.multiprocessing-method": "forkserver",
    # A busy machine restarts a killed worker slowly; by default it is given up after 15 s.
    "distributed.deploy.lost-worker-timeout": "10 minutes",
}
_ANSWER_S = 10.0
_SILENT = logging.CRITICAL + 1


@contextmanager
def connected(scheduler: str, packages: Sequence[str]) -> Iterator[Client]:
    """Yield a client of a cluster.

    Args:
        scheduler: "local:N" for N new worker processes, with one thread each; else the address of
            a Dask scheduler ("tcp://HOST:PORT", "tls://HOST:PORT"), or the JSON file that it wrote
            (`dask scheduler --scheduler-file`).
        packages: distributions of which workers must have the same version as this process.

    Raises:
        ConfigError: no scheduler is there, or a worker has another version of a package.
        DataError: the scheduler's file cannot be read.
        ClusterError: while the block was running, the scheduler went away, or a task ended its
            worker process each time.
    """
    with ExitStack() as undo:
        undo.enter_context(_quiet())
        local = re.fullmatch(r"local:([1-9][0-9]{0,3})", scheduler)
        opened = _local(int(local[1])) if local else _existing(_address(scheduler))
        client = undo.enter_context(opened)
        _check_workers(client, packages)
        try:
            yield client
        except KilledWorker as error:
            raise ClusterError(
                f"{printable(scheduler)}: a task ended its worker process "
                f"{error.allowed_failures + 1} times: too little memory, or a fault"
            ) from error
        except (CancelledError, ClosedClientError, OSError) as error:
            if isinstance(error, OSError) and client.status == "running":
                raise
            raise ClusterError(
                f"{printable(scheduler)}: the scheduler went away; the same command goes on from "
                "the finished parts"
            ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the logs of Dask: what matters in them becomes an error of ours."""
    known = [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]
    before = {logger: logger.level for logger in map(logging.getLogger, known)}
    for logger in before:
        logger.setLevel(_SILENT)
    try:
        yield
    finally:
        for logger, level in before.items():
            logger.setLevel(level)


@contextmanager
def _local(workers: int) -> Iterator[Client]:
    with dask.config.set(_LOCAL_CONFIG):
        try:
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                memory_limit=0,
                dashboard_address="127.0.0.1:0",
                silence_logs=_SILENT,
                scheduler_sync_interval="1 hour",  # it keeps a display up to date, which none sees
                # Others can reach the ports of this machine: only who has the keys gives orders.
                security=True,
            )
        except RuntimeError as error:
            raise ClusterError(
                f"local:{workers}: the worker processes could not be started"
            ) from error
        with cluster, Client(cluster, set_as_default=False) as client:
            yield client


@contextmanager
def _existing(address: str) -> Iterator[Client]:
    try:
        client = Client(address, timeout=_ANSWER_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{printable(address)}: no Dask scheduler answers there") from error
    with client:
        yield client


def _address(scheduler: str) -> str:
    """Return the address of a scheduler, which its file may state."""
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


def ensure_same_versions(worker: str, found: Mapping[str, str], here: Mapping[str, str]) -> None:
    """Raise ConfigError, with the name of the worker, where versions differ from `here`."""
    for name, version in here.items():
        if found[name] != version:
            raise ConfigError(
                f"{worker} has {name} {found[name]}, and the command {version}; install the same "
                "version everywhere"
            )


def ensure_seen(files: Iterable[Path]) -> None:
    """Raise ConfigError, with the name of this worker, if it sees none of the files' folders."""
    folders = sorted({file.parent for file in files})
    if folders and not any(folder.is_dir() for folder in folders):
        raise ConfigError(f"{this_worker()}: {folders[0]}: no such folder")


def this_worker() -> str:
    """Return the name of the worker that runs this task, for messages."""
    return f"the worker {get_worker().address}"


def _check_workers(client: Client, packages: Sequence[str]) -> None:
    """Raise ConfigError if a worker has other versions; tasks check workers that join later."""
    here = package_versions(packages)
    for address, versions in client.run(package_versions, packages, on_error="return").items():
        worker = f"the worker {address}"
        if isinstance(versions, Exception):
            raise ConfigError(f"{worker} cannot run the toolkit: {printable(versions, 200)}")
        ensure_same_versions(worker, versions, here)
