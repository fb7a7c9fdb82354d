"""The wheel: the same bytes from the same files, and in it what a user needs."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("runtime", "train", "export", "bench")
DEVELOPMENT = (
    "__pycache__",
    "node_modules",
    "package*.json",
    "tsconfig.json",
    "eslint.*",
    ".npmrc",
)
"""Files in the packages that a user does not need."""
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


def wheel(folder: Path, written: float) -> Path:
    """Build a copy of the toolkit, whose files were written at another time."""
    source, out = folder / "source", folder / "out"
    out.mkdir(parents=True)
    for package in PACKAGES:
        ignored = shutil.ignore_patterns(*DEVELOPMENT)
        shutil.copytree(ROOT / package, source / package, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for path in source.rglob("*"):
        os.utime(path, (written, written))
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000", "PYTHONPATH": ""}
    subprocess.run(
        [sys.executable, "-c", BUILD, str(out)],
        cwd=source,
        env=environment,
        check=True,
        capture_output=True,
    )
    (built,) = out.glob("*.whl")
    return built


def test_two_builds_of_the_same_files_have_the_same_bytes(tmp_path: Path) -> None:
    try:
        major = int(version("setuptools").split(".")[0])
    except PackageNotFoundError:
        major = 0
    if major < 77:
        pytest.skip("setuptools 77 or newer is not installed beside the toolkit")
    first, second = wheel(tmp_path / "one", 1.6e9), wheel(tmp_path / "other", 1.5e9)
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (first, second)}
    assert len(digests) == 1
    names = set(zipfile.ZipFile(first).namelist())
    files = {
        path.relative_to(tmp_path / "one" / "source").as_posix()
        for package in PACKAGES
        for path in (tmp_path / "one" / "source" / package).rglob("*")
        if path.is_file()
    }
    assert files <= names
    assert all(name.split("/")[0] in PACKAGES or ".dist-info/" in name for name in names)
