"""Checkpoints and weights that would run code, or ask for more than they hold."""

import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from runtime.core.errors import CheckpointError
from tests.support.fuzz_targets import tiny_encoder
from tests.support.memory_bound import bounded
from train.checkpoint import build_network, load_checkpoint
from train.weights import load_encoder_weights


@pytest.fixture
def content(run_folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(run_folder / "best.pt", weights_only=True)
    return loaded


def refuse_checkpoint(path: Path, words: str) -> None:
    with pytest.raises(CheckpointError, match=rf"{path.name}: .*{words}"):
        build_network(load_checkpoint(path), path)


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_a_checkpoint_that_runs_code(tmp_path: Path, content: dict[str, Any]) -> None:
    path, sprung = tmp_path / "trap.pt", tmp_path / "sprung"
    writers: tuple[Callable[[], object], ...] = (
        lambda: torch.save({**content, "versions": Trap(sprung)}, path),
        lambda: torch.save(
            {**content, "versions": Trap(sprung)}, path, _use_new_zipfile_serialization=False
        ),
        lambda: path.write_bytes(pickle.dumps(Trap(sprung))),
        lambda: path.write_bytes(pickle.dumps(Trap(sprung), protocol=0)),
    )
    for write in writers:
        write()
        refuse_checkpoint(path, "would run code")
        assert not sprung.exists()


def test_a_checkpoint_that_is_packed_a_thousandfold(
    tmp_path: Path, content: dict[str, Any]
) -> None:
    plain, bomb = tmp_path / "plain.pt", tmp_path / "bomb.pt"
    torch.save({**content, "optimizer": {"state": torch.zeros(1 << 24)}}, plain)
    with (
        zipfile.ZipFile(plain) as old,
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for part in old.namelist():
            new.writestr(part, old.read(part))
    assert bomb.stat().st_size < plain.stat().st_size / 20
    refuse_checkpoint(bomb, "damaged")


def test_a_bit_that_flips_in_a_tensor(run_folder: Path, tmp_path: Path) -> None:
    """PyTorch does not look at the checksums of a file that it has written."""
    path = tmp_path / "flipped.pt"
    content = bytearray((run_folder / "best.pt").read_bytes())
    with zipfile.ZipFile(run_folder / "best.pt") as archive:
        (found,) = (p for p in archive.infolist() if p.filename.endswith("/data/0"))
        stored = archive.read(found)
    content[content.index(stored) + len(stored) // 2] ^= 1
    path.write_bytes(content)
    refuse_checkpoint(path, "damaged")


@pytest.mark.parametrize(
    ("make", "found"),
    [(os.mkfifo, "a pipe or a device"), (os.mkdir, "a folder"), (lambda path: None, "no file")],
)
def test_what_is_no_file_is_named(
    tmp_path: Path, make: Callable[[Path], object], found: str
) -> None:
    path = tmp_path / "best.pt"
    make(path)
    refuse_checkpoint(path, f"expected a checkpoint, found {found}")
    with pytest.raises(CheckpointError, match=f"expected encoder weights, found {found}"):
        load_encoder_weights(tiny_encoder(), str(path))


def test_a_checkpoint_whose_network_is_larger_than_its_weights(
    tmp_path: Path, content: dict[str, Any]
) -> None:
    """A width of 5000 asks for 190 billion parameters: it is refused before they are made."""
    path = tmp_path / "wide.pt"
    for width in (5000, 10**12):
        torch.save({**content, "config": {**content["config"], "width": width}}, path)
        refuse_checkpoint(path, "those of another architecture")
    weights = {**content["weights"], "head.bias": torch.zeros(1).expand(10**12)}
    torch.save({**content, "weights": weights}, path)
    refuse_checkpoint(path, "expected weights no larger than the file")


def test_a_checkpoint_that_would_never_be_written_out(
    tmp_path: Path, content: dict[str, Any]
) -> None:
    """A list that holds itself twice, that one twice again, and so on: 2**60 items in all."""
    laughs: list[Any] = ["ha"]
    for _ in range(60):
        laughs = [laughs, laughs]
    path = tmp_path / "laughs.pt"
    torch.save({**content, "config": {**content["config"], "width": laughs}}, path)
    refuse_checkpoint(path, "width: expected int, found list")
    torch.save({**content, "versions": {"torch": laughs}}, path)
    refuse_checkpoint(path, "invalid `versions`")


def test_a_checkpoint_with_a_setting_out_of_range_is_named(
    tmp_path: Path, content: dict[str, Any]
) -> None:
    path = tmp_path / "odd.pt"
    torch.save({**content, "config": {**content["config"], "width": 0}}, path)
    refuse_checkpoint(path, r"config: width: expected 1 or more, found 0")


@pytest.mark.parametrize(
    ("stated", "header"),
    [
        (1 << 60, {}),
        (50 << 20, {}),
        (10, {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}),
        (None, {"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}),
        (None, {"a": {"dtype": "F32", "shape": [1 << 62, 4], "data_offsets": [0, 8]}}),
        (None, {"a": {"dtype": "F32", "shape": [100], "data_offsets": [0, 8]}}),
    ],
    ids=["an exabyte", "beyond the file", "too short", "data beyond", "overflow", "another shape"],
)
def test_a_safetensors_header_that_lies(
    tmp_path: Path, stated: int | None, header: dict[str, Any]
) -> None:
    text = json.dumps(header).encode()
    length = len(text) if stated is None else stated
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", length) + text + bytes(8))
    with bounded(), pytest.raises(CheckpointError, match=r"w\.safetensors: expected a safetensors"):
        load_encoder_weights(tiny_encoder(), str(path))
