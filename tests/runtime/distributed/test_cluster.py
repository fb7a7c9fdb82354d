"""Schedulers that are none, and workers with other packages."""

import json
import socket
from pathlib import Path
from threading import Thread

import pytest

pytest.importorskip("distributed")

from runtime.core.errors import ConfigError, DataError
from runtime.distributed import cluster
from runtime.distributed.cluster import connected, ensure_same_versions, ensure_seen


@pytest.mark.parametrize(
    ("scheduler", "message"),
    [
        ("local", "expected local:N with N from 1 to 9999, found 'local'$"),
        ("local:0", "expected local:N with N from 1 to 9999, found 'local:0'$"),
        ("local:x", "expected local:N with N"),
        ("somewhere", "expected local:N, tcp:"),
        ("host:8786", "expected local:N, tcp:"),
        ("tcp://127.0.0.1:1", "^tcp://127.0.0.1:1: no Dask scheduler answers there$"),
        ("tcp://127.0.0.1", "no Dask scheduler answers there$"),
        ("tls://127.0.0.1:99999", "no Dask scheduler answers there$"),
    ],
)
def test_what_names_no_scheduler_is_refused(scheduler: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message), connected(scheduler, []):
        pass


def test_a_server_that_is_silent_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_ANSWER_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        message = f"^{address}: no Dask scheduler answers there$"
        with pytest.raises(ConfigError, match=message), connected(address, []):
            pass


def test_a_server_of_another_kind_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"

        def answer() -> None:
            for _ in range(2):  # one connection to see that something listens
                connection, _ = server.accept()
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.close()

        thread = Thread(target=answer)
        thread.start()
        message = f"^{address}: no Dask scheduler answers there$"
        with pytest.raises(ConfigError, match=message), connected(address, []):
            pass
        thread.join()


def test_a_scheduler_file_states_an_address(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    with pytest.raises(DataError, match="no such file"), connected(str(file), []):
        pass
    file.write_text(json.dumps({"id": 3}))
    with pytest.raises(DataError, match="not the file of a Dask"), connected(str(file), []):
        pass


def test_another_version_is_refused_with_the_name_of_the_worker() -> None:
    with pytest.raises(
        ConfigError,
        match=r"^the worker tcp://a:1 has numpy 1\.0, and the command 2\.0; install the same",
    ):
        ensure_same_versions("the worker tcp://a:1", {"numpy": "1.0"}, {"numpy": "2.0"})


def test_a_worker_need_not_see_every_folder(tmp_path: Path) -> None:
    ensure_seen([tmp_path / "gone" / "a.png", tmp_path / "b.png"])
    ensure_seen([])
