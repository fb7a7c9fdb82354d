"""A file system of a few kilobytes, to be filled."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path, kilobytes: int) -> Iterator[Path]:
    """Mount a tmpfs at `place`, a new folder; skip where that cannot be done."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if mounted.returncode:
        pytest.skip("a file system cannot be mounted here, which needs root")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def enlarge(place: Path, kilobytes: int) -> None:
    """Give the file system at `place` another size."""
    command = ["mount", "-o", f"remount,size={kilobytes}k", str(place)]
    subprocess.run(command, check=True, capture_output=True)
