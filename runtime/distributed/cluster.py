"""The Dask cluster of a command: one that is there already, or worker processes of this machine."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dask
from distributed import Client, KilledWorker, LocalCluster, Security, get_worker
from distributed.client import ClosedClientError
from distributed.core import rpc

from runtime.core.errors import ClusterError, ConfigError, printable
from runtime.core.machine import package_versions
from runtime.distributed.address import (
    ensure_reachable,
    local_workers,
    no_scheduler,
    scheduler_address,
)
from runtime.distributed.worker_watch import WorkerWatch

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
_ANSWER_S = 5.0
_SILENT = logging.CRITICAL + 1


@contextmanager
def connected(
    scheduler: str, packages: Sequence[str], tell: Callable[[str], None] | None = None
) -> Iterator[WorkerWatch]:
    """Yield a cluster: its client, and the watch of its workers.

    Args:
        scheduler: "local:N" for N new worker processes, with one thread each; else the address of
            a Dask scheduler ("tcp://HOST:PORT", "tls://HOST:PORT"), or the JSON file that it wrote
            (`dask scheduler --scheduler-file`).
        packages: distributions of which workers must have the same version as this process.
        tell: called with a sentence where workers are awaited, come, or are gone.

    Raises:
        ConfigError: no scheduler is there, or a worker has another version of a package.
        DataError: the scheduler's file cannot be read.
        ClusterError: while the block was running, the scheduler went away, or a task ended its
            worker process each time.
    """
    ensure_reachable(scheduler)
    with ExitStack() as undo:
        undo.enter_context(_quiet())
        workers = local_workers(scheduler)
        opened = _existing(scheduler_address(scheduler)) if workers is None else _local(workers)
        client = undo.enter_context(opened)
        watch = WorkerWatch(client, scheduler, tell)
        try:
            watch.wait()
            _check_workers(client, packages)
            yield watch
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
    if address.startswith(("tcp://", "tls://")):
        _greet(address)
    try:
        client = Client(address, timeout=_ANSWER_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise no_scheduler(address) from error
    with client:
        yield client


def _greet(address: str) -> None:
    """Raise ConfigError unless a scheduler answers; Dask's client waits for silent ones forever."""

    async def kind() -> object:
        security = Security().get_connection_args("client")
        async with rpc(address, timeout=_ANSWER_S, connection_args=security) as server:
            return (await asyncio.wait_for(server.identity(), _ANSWER_S)).get("type")

    try:
        found = asyncio.run(kind())
    except Exception as error:  # another server may say anything, and Dask take it for a length
        raise no_scheduler(address) from error
    if found != "Scheduler":  # a worker's address, such as its log shows
        raise no_scheduler(address)


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
