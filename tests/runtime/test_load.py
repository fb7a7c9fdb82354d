"""Many predictions, many threads, many scans: the same results, and no memory lost.

With `--long` the loads are those that `make load` asks for, on the network in artifacts/.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runtime.data.coco import Dataset, read_dataset
from runtime.data.phantom import PhantomConfig, make_phantom
from runtime.data.split import Split
from runtime.model.image_files import FoundImage
from runtime.model.predict_files import predict_files
from runtime.model.predictor import Predictor
from runtime.scoring.evaluation import evaluate
from tests.support.memory import Growth

COMMITTED = Path(__file__).resolve().parents[2] / "artifacts" / "unet-scratch-w16.onnx"


@pytest.fixture
def network(model: Path, long: bool) -> Path:
    return COMMITTED if long else model


@pytest.fixture
def images(phantom_data: Dataset) -> list[Path]:
    return [sample.path for sample in phantom_data.split("train").samples]


def test_sixteen_threads_predict_what_one_does_and_keep_no_memory(
    network: Path, images: list[Path], long: bool, report: Callable[[str], None]
) -> None:
    predictor = Predictor(network, threads=1)
    expected = [predictor(image).tobytes() for image in images]
    total, warm, every = (2000, 400, 50) if long else (320, 80, 20)

    def same(index: int) -> bool:
        at = index % len(images)
        return predictor(images[at]).tobytes() == expected[at]

    start = time.perf_counter()
    with ThreadPoolExecutor(16) as pool, Growth(every=every, after=warm) as growth:
        for done in range(0, warm + total, every):
            assert all(pool.map(same, range(done, done + every)))
            growth(done + every)
    seconds = time.perf_counter() - start
    allocated, resident = growth.slopes
    assert allocated < 1024
    assert resident < 1024 or not long  # so few fill no more than the pools
    report(
        f"one Predictor in 16 threads: {warm + total} predictions in {seconds:.0f} s, each the "
        f"same to the bit as in one thread; over the last {total} allocated memory grew by "
        f"{allocated:.1f} bytes a prediction, resident memory by {resident:.1f}"
    )


@pytest.fixture
def scans(phantom: Path, phantom_data: Dataset, long: bool, tmp_path: Path) -> Dataset:
    """A test split of many scans: 10000, or the small set's images again and again."""
    if long:
        config = PhantomConfig(train=1, valid=1, test=5000, slices=2, size=64)
        return read_dataset(make_phantom(tmp_path / "many", config))
    split = phantom_data.split("test")
    many = replace(split, samples=split.samples * 80)
    return replace(phantom_data, splits={**phantom_data.splits, "test": many})


def test_memory_stays_flat_over_many_scans(
    network: Path, scans: Dataset, long: bool, tmp_path: Path, report: Callable[[str], None]
) -> None:
    split = scans.split("test")
    count = len(split.samples)
    predictor = Predictor(network, threads=2, batch_size=4)
    with Growth(every=count // 40, after=count // 4) as growth:
        assert (
            len(
                evaluate(
                    predictor, split, on_progress=lambda p: growth(round(p.done), round(p.total))
                ).samples
            )
            == count
        )
    # An image's sums are kept, for the CSV; a probability map of 32x32 would be 4096 bytes.
    allocated, resident = growth.slopes
    assert max(allocated, resident) < 2048
    report(f"evaluate, {count} scans: {allocated:.0f} bytes a scan, resident {resident:.0f}")

    some = split.samples if long else split.samples[:80]
    found = [FoundImage(sample.path, Path(f"{n % 50}")) for n, sample in enumerate(some)]
    with Growth(every=len(found) // 40, after=len(found) // 4) as growth:
        written = predict_files(
            predictor,
            found,
            tmp_path / "out",
            on_progress=lambda p: growth(round(p.done), round(p.total)),
        )
        assert len(written) == len(found)
    # Three paths and two numbers are kept.
    allocated, resident = growth.slopes
    assert allocated < 4096
    assert resident < 4096 or not long  # so few images fill no more than the pools
    report(f"predict_files, {count} scans: {allocated:.0f} bytes a scan, resident {resident:.0f}")


PEAK = """
import re, sys
from pathlib import Path
from {module} import main
try:
    main()
finally:
    found = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
    Path({result!r}).write_text(found[1])
"""


def peak_memory(folder: Path, module: str, *arguments: object) -> int:
    """Run a command to its end and return the most memory it held, in bytes.

    The command's process tells it: what `wait4` returns counts the parent's memory too.
    """
    result = folder / "peak"
    code = PEAK.format(module=module, result=str(result))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, *(str(argument) for argument in arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return int(result.read_text()) * 1024


def test_the_commands_hold_as_much_memory_for_ten_thousand_scans_as_for_one_thousand(
    network: Path, long: bool, tmp_path: Path, report: Callable[[str], None]
) -> None:
    if not long:
        pytest.skip("takes minutes: make load")
    peaks: dict[str, list[int]] = {"seg-eval": [], "seg-predict": []}
    counts = 1000, 10000
    for count in counts:
        config = PhantomConfig(train=1, valid=1, test=count // 2, slices=2, size=64)
        folder = make_phantom(tmp_path / str(count), config)
        out, result = tmp_path / "out", tmp_path / "result.json"
        scored = "runtime.cli.evaluate", network, "--data", folder, "--json", result
        predicted = "runtime.cli.predict", network, folder / "test", "--out", out
        peaks["seg-eval"].append(peak_memory(tmp_path, *scored))
        peaks["seg-predict"].append(peak_memory(tmp_path, *predicted))
    for command, (fewer, more) in peaks.items():
        slope = (more - fewer) / (counts[1] - counts[0])
        report(
            f"{command}: at most {fewer / 1e6:.0f} MB for {counts[0]} scans and {more / 1e6:.0f} "
            f"MB for {counts[1]}, {slope:.0f} bytes a scan"
        )
    # No image: what is annotated (polygons in Python's numbers take 6 kB here, reading them more),
    # four rows of results, and their JSON.
    assert all(more - fewer < 16384 * (counts[1] - counts[0]) for fewer, more in peaks.values())


def test_results_do_not_depend_on_how_many_workers_decode(network: Path, scans: Dataset) -> None:
    split = scans.split("test")
    few = Split("test", split.annotation_file, split.samples[:8], None, ())
    predictor = Predictor(network, threads=2, batch_size=2, concurrency=2)
    alone = [replace(few, samples=(sample,)) for sample in few.samples]
    expected = tuple(evaluate(predictor, one).samples[0] for one in alone)
    for workers in (2, 5, 16):
        predictor.threads = workers  # decodes ahead in as many, and computes as before
        assert evaluate(predictor, few).samples == expected


def test_results_do_not_depend_on_the_batch_or_on_the_threads_that_compute(
    network: Path, report: Callable[[str], None]
) -> None:
    single = Predictor(network, threads=1)
    rng = np.random.default_rng(0)
    inputs = rng.random((24, 3, *single.size), dtype=np.float32)
    expected = np.concatenate([single.run(image[None]) for image in inputs])
    largest = 0.0
    for threads in (1, 2, 4):
        predictor = Predictor(network, threads=threads)
        for batch in (1, 2, 3, 8, 24):
            found = [predictor.run(inputs[n : n + batch]) for n in range(0, len(inputs), batch)]
            largest = max(largest, float(np.abs(np.concatenate(found) - expected).max()))
    # ONNX Runtime promises no equal bits; where its kernels differ by shape, some may differ.
    assert largest < 1e-6
    report(f"1, 2, 4 threads, batches of 1, 2, 3, 8, 24: largest difference {largest:g}")
