"""What `--scheduler` names, checked without Dask."""

import socket
from pathlib import Path

import pytest

from runtime.core.errors import ConfigError, DataError
from runtime.distributed.address import ensure_reachable, local_workers, scheduler_address


def test_local_workers_are_1_to_9999() -> None:
    assert [local_workers(f"local:{n}") for n in (1, 16, 9999)] == [1, 16, 9999]
    for wrong in ("local", "local:", "local:0", "local:10000", "local:-1", "local:2x", "local: 2"):
        with pytest.raises(ConfigError, match="expected local:N with N from 1 to 9999"):
            local_workers(wrong)
    assert local_workers("tcp://local:4") is None


def test_an_address_is_taken_as_it_is_and_a_file_states_one(tmp_path: Path) -> None:
    assert scheduler_address("tls://host:8786") == "tls://host:8786"
    path = tmp_path / "scheduler.json"
    path.write_text('{"address": "tcp://10.0.0.5:8786"}')
    assert scheduler_address(str(path)) == "tcp://10.0.0.5:8786"


@pytest.mark.parametrize("content", ["[]", "{}", '{"address": 8786}'])
def test_a_file_without_an_address_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "scheduler.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"scheduler\.json: not the file of a Dask scheduler"):
        scheduler_address(str(path))


@pytest.mark.parametrize("name", ["host:8786", "http://host:8787", "tcp://", ""])
def test_what_is_neither_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="expected local:N, tcp://HOST:PORT"):
        scheduler_address(name)


def test_something_must_listen_at_the_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ensure_reachable(f"tcp://127.0.0.1:{port}")
    with pytest.raises(ConfigError, match=rf"tcp://127.0.0.1:{port}: no Dask scheduler answers"):
        ensure_reachable(f"tcp://127.0.0.1:{port}")
    ensure_reachable("local:2")
