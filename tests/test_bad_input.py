"""What a user may do wrong: one sentence, the right exit code, and earlier results as they were."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from bench.cli import main as seg_bench
from export.cli import main as export_onnx
from runtime.cli.data import main as seg_data
from runtime.cli.evaluate import main as seg_eval
from runtime.cli.predict import main as seg_predict
from tests.support.model_builder import ModelBuilder
from tests.support.small_disk import small_disk
from train.cli import main as train_unet

CocoEdit = Callable[[dict[str, Any]], object]


def run(command: click.Command, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def assert_one_sentence(result: Result, *words: str, exit_code: int = 2) -> None:
    assert result.exit_code == exit_code, result.output
    assert "Traceback" not in result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    for word in words:
        assert word in line


@pytest.fixture
def data(phantom: Path, tmp_path: Path) -> Path:
    """A copy of the phantom set, to be damaged."""
    return Path(shutil.copytree(phantom, tmp_path / "data"))


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A result of an earlier run."""
    path = tmp_path / "earlier.json"
    path.write_text("an earlier result")
    return path


def edit_coco(data: Path, edit: CocoEdit) -> None:
    path = data / "test" / "_annotations.coco.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def jpeg(path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    Image.fromarray(pixels).save(path, quality=95)
    return path


@pytest.mark.parametrize(
    ("name", "problem"),
    [("scan.jpg", "damaged image"), ("scan.png", "not a JPEG"), ("empty.png", "empty file")],
)
def test_an_image_that_cannot_be_read(model: Path, tmp_path: Path, name: str, problem: str) -> None:
    path = tmp_path / name
    if name == "scan.jpg":
        path.write_bytes(jpeg(path).read_bytes()[:3000])
    else:
        path.write_text("not an image" if name == "scan.png" else "")
    result = run(seg_predict, model, path, "--out", tmp_path / "out")
    assert_one_sentence(result, str(path), problem)
    assert not (tmp_path / "out").exists()


def picture_of(kind: str) -> Image.Image:
    gray = np.random.default_rng(0).integers(0, 255, (40, 50), np.uint8)
    rgb = Image.fromarray(np.stack([gray, 255 - gray, gray // 2], axis=2))
    pictures = {
        "16-bit": lambda: Image.fromarray(gray.astype(np.uint16) * 257),
        "palette": lambda: rgb.quantize(64),
        "RGBA": lambda: Image.merge("RGBA", (*rgb.split(), Image.new("L", rgb.size, 255))),
        "1x1": lambda: rgb.resize((1, 1)),
    }
    return pictures[kind]()


@pytest.mark.parametrize("kind", ["16-bit", "palette", "RGBA", "1x1"])
def test_odd_images_are_read_correctly(model: Path, tmp_path: Path, kind: str) -> None:
    picture = picture_of(kind)
    picture.save(tmp_path / "odd.png")
    plain = picture
    if kind == "16-bit":
        plain = Image.fromarray((np.asarray(picture) // 257).astype(np.uint8))
    plain.convert("RGB").save(tmp_path / "plain.png")
    result = run(
        seg_predict, model, tmp_path / "odd.png", tmp_path / "plain.png", "--out", tmp_path
    )
    assert result.exit_code == 0, result.output
    odd, expected = (
        np.asarray(Image.open(tmp_path / f"{name}.probability.png").copy())
        for name in ("odd", "plain")
    )
    np.testing.assert_array_equal(odd, expected)
    assert odd.shape == (picture.height, picture.width)


def drop_image(data: Path) -> str:
    image = next((data / "test").glob("*.png"))
    image.unlink()
    return image.name


def cut_image(data: Path) -> str:
    image = next((data / "test").glob("*.png"))
    image.write_bytes(image.read_bytes()[:500])
    return image.name


def break_json(data: Path) -> str:
    (data / "test" / "_annotations.coco.json").write_text("{'images': ")
    return "_annotations.coco.json: not valid JSON"


def drop_list(data: Path) -> str:
    edit_coco(data, lambda content: content.pop("images"))
    return "_annotations.coco.json: not a COCO file, because it has no list 'images'"


def leave_folder(data: Path) -> str:
    edit_coco(data, lambda content: content["images"][0].update(file_name="../../secret.png"))
    return "'../../secret.png'"


@pytest.mark.parametrize("damage", [drop_image, cut_image, break_json, drop_list, leave_folder])
def test_a_data_set_that_cannot_be_used(
    model: Path, data: Path, earlier: Path, damage: Callable[[Path], str]
) -> None:
    words = damage(data)
    result = run(seg_eval, model, "--data", data, "--json", earlier)
    assert_one_sentence(result, words)
    assert earlier.read_text() == "an earlier result"


def test_training_stops_before_it_starts_on_a_missing_image(data: Path, tmp_path: Path) -> None:
    image = next((data / "train").glob("*.png"))
    image.unlink()
    out = tmp_path / "run"
    result = run(
        train_unet,
        "--data",
        data,
        "--width",
        2,
        "--size",
        32,
        "--out",
        out,
        "--cache",
        tmp_path / "c",
    )
    assert_one_sentence(result, image.name, "no such image in")
    assert not list(out.glob("*"))


def test_check_reports_defects_and_whether_the_set_can_be_used(data: Path) -> None:
    assert run(seg_data, "check", data).exit_code == 0
    name = drop_image(data)
    result = run(seg_data, "check", data)
    assert result.exit_code == 1
    assert (
        f"{name}: no such image in {data / 'test'}: add it, or remove its entry; refused"
        in result.output
    )


def test_onnx_files_that_cannot_be_run(
    model: Path, build_onnx: ModelBuilder, tmp_path: Path, phantom: Path
) -> None:
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(model.read_bytes()[:-100])
    gray = build_onnx(tmp_path / "gray.onnx", shape=("batch", 1, "height", "width"))
    classes = build_onnx(tmp_path / "classes.onnx", channels=5)
    external = build_onnx(tmp_path / "external.onnx", external=True)
    for path, words in (
        (cut, "expected a complete ONNX file"),
        (gray, "expected one input float32 [batch, 3, height, width]"),
        (classes, "expected one output float32 [batch, 1, height, width]"),
        (external, "points to external data"),
        (tmp_path / "none.onnx", "no such file"),
    ):
        result = run(seg_eval, path, "--data", phantom, "--size", 32)
        assert_one_sentence(result, path.name, words)


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_checkpoints_that_cannot_be_exported(
    run_folder: Path, phantom: Path, tmp_path: Path
) -> None:
    import torch

    trap, other = tmp_path / "trap.pt", tmp_path / "other.pt"
    trap.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    content = torch.load(run_folder / "best.pt", weights_only=True)
    content["config"]["width"] = 8
    torch.save(content, other)
    output = tmp_path / "m.onnx"
    output.write_text("an earlier file")
    for path, words in ((trap, "would run code"), (other, "those of another architecture")):
        result = run(export_onnx, path, "--out", output, "--data", phantom)
        assert_one_sentence(result, path.name, words)
    assert output.read_text() == "an earlier file"
    assert not (tmp_path / "sprung").exists()


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB with 4 KiB left."""
    with small_disk(tmp_path / "disk", 64) as place:
        (place / "filler").write_bytes(bytes(60 * 1024))
        yield place


@pytest.mark.usefixtures("quick_exports")
def test_a_full_disk(
    model: Path, run_folder: Path, phantom: Path, full_disk: Path, tmp_path: Path
) -> None:
    earlier = full_disk / "earlier.json"
    earlier.write_text("old")
    picture = next((phantom / "test").glob("*.png"))
    tiny = ("--width", 2, "--size", 32, "--epochs", 1, "--cache", tmp_path / "cache")
    for result in (
        run(seg_eval, model, "--data", phantom, "--json", earlier),
        run(seg_predict, model, picture, "--out", full_disk / "out"),
        run(export_onnx, run_folder, "--out", full_disk / "m.onnx", "--data", phantom),
        run(train_unet, "--data", phantom, *tiny, "--out", full_disk / "run"),
        run(
            train_unet,
            "--data",
            phantom,
            *tiny[:-2],
            "--cache",
            full_disk / "c",
            "--out",
            tmp_path / "r",
        ),
        run(seg_data, "phantom", full_disk / "phantom", "--size", 64),
    ):
        assert_one_sentence(result, str(full_disk), "cannot be written: no space left on device")
    assert earlier.read_text() == "old"
    left = {path.name for path in full_disk.rglob("*") if path.is_file()}
    assert left == {"filler", "earlier.json"}


def bound_command(module: str) -> list[str]:
    """A command in a process that permissions bind, which root has to be bound by."""
    command = [sys.executable, "-c", f"from {module} import main; main()"]
    if os.geteuid() != 0:
        return command
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv, to give up root's right to read and write everywhere")
    return ["setpriv", "--inh-caps=-all", "--bounding-set=-all", *command]


def test_a_folder_without_permission(model: Path, phantom: Path, tmp_path: Path) -> None:
    """As the data's folder, which is fine, and as the results'."""
    closed = Path(shutil.copytree(phantom, tmp_path / "closed"))
    command = bound_command("runtime.cli.evaluate")
    closed.chmod(0o555)
    command += [str(model), "--data", str(closed), "--threads", "1"]
    result = closed / "result.json"
    for extra, status in ((), 0), (("--json", str(result)), 2):
        ran = subprocess.run([*command, *extra], capture_output=True, text=True, check=False)
        assert ran.returncode == status, ran.stderr
    assert f"{result}: cannot be written: permission denied" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_result_does_not_replace_what_it_is_about(model: Path, data: Path) -> None:
    coco = data / "test" / "_annotations.coco.json"
    scan = next((data / "train").glob("*.png"))
    link = data / "link.csv"
    link.hardlink_to(scan)
    network = data / "network.onnx"
    shutil.copy(model, network)
    evaluation = data / "evaluation.json"
    assert run(seg_eval, model, "--data", data, "--json", evaluation).exit_code == 0
    out = "--out", data / "bench"
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    for command, arguments in (
        (seg_eval, (model, "--data", data, "--json", coco)),
        (seg_eval, (model, "--data", data, "--csv", link)),
        (seg_data, ("check", data, "--json", coco)),
        (seg_data, ("report", data, "--out", scan)),
        (seg_data, ("audit", data, "--json", scan)),
        (seg_bench, (network, "--json", network, *out)),
        (seg_bench, (network, "--data", data, "--json", coco, *out)),
        (seg_bench, (network, "--evaluation", evaluation, "--json", evaluation, *out)),
        (seg_bench, ("backends", network, "--json", network)),
        (seg_bench, ("backends", network, "--markdown", network)),
        (seg_bench, ("sweep", "--data", data, "--json", scan, *out)),
    ):
        assert_one_sentence(run(command, *arguments), "would replace the input")
    assert {path: path.read_bytes() for path in before} == before


def test_a_name_moves_no_cursor_and_starts_no_line(model: Path, tmp_path: Path) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    jpeg(scans / "b\x1b[2J\nError: no.jpg")
    (scans / "c\x1b[2J\nError: no.jpg").write_bytes(b"no image")
    ran = run(seg_predict, model, scans, "--on-error", "skip", "--out", tmp_path / "out")
    assert ran.exit_code == 0, ran.output
    assert ran.output.count("\\x1b[2J\\nError: no.jpg") >= 2
    refused = run(seg_predict, model, scans, "--out", tmp_path / "out")
    assert_one_sentence(refused, "not a JPEG")
    for output in (ran.output, refused.output):
        assert "\x1b" not in output
        assert "\nError: no" not in output


def test_an_evaluation_reports_defects_in_the_annotations(model: Path, data: Path) -> None:
    arguments = (model, "--data", data, "--no-baselines")
    assert "not four numbers" not in run(seg_eval, *arguments).output
    edit_coco(data, lambda coco: coco["annotations"][0].update(bbox=[1, float("nan")]))
    edit_coco(data, lambda coco: coco["annotations"][0].update(segmentation=None))
    result = data / "result.json"
    ran = run(seg_eval, *arguments, "--json", result)
    assert ran.exit_code == 0, ran.output
    told = "test: a box that is not four numbers: dropped; the first: "
    assert told in ran.output
    assert any(told in warning for warning in json.loads(result.read_text())["warnings"])


@pytest.mark.parametrize("mode", [0o000, 0o333, 0o444])
def test_a_folder_of_images_that_cannot_be_read(model: Path, tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    jpeg(folder / "a.jpg")
    command = [*bound_command("runtime.cli.predict"), str(model), str(folder)]
    folder.chmod(mode)
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    finally:
        folder.chmod(0o755)
    assert ran.returncode == 2
    (line,) = ran.stderr.splitlines()
    assert line.startswith(f"Error: {folder}")
    assert line.endswith(": cannot be read, permission denied")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_standard_output_on_a_full_disk(phantom: Path, unbuffered: str) -> None:
    code = "from runtime.cli.data import main; main()"
    command = [sys.executable, "-c", code, "check", str(phantom)]
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            command,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == (
        "Error: standard output: cannot be written: no space left on device"
    )
    assert "Exception ignored" not in ran.stderr


def test_wrong_use(model: Path, phantom: Path, tmp_path: Path) -> None:
    train = ("--data", phantom, "--out", tmp_path / "run")
    uses: list[tuple[click.Command, tuple[object, ...], str]] = [
        (seg_eval, (model, "--data", phantom, "--split", "tset"), "no split 'tset'"),
        (seg_eval, (model, "--data", tmp_path / "none"), "no such folder"),
        (seg_eval, (model, "--data", phantom, "--size", 33), "multiples of 16"),
        (seg_predict, (model, tmp_path / "*.gif"), "no such image or folder"),
        (train_unet, (*train, "--size", 33), "multiple of 16"),
        (train_unet, (*train, "--encoder-weights", "w.pth"), "takes no encoder weights"),
        (train_unet, (*train, "--resume", "--overwrite"), "exclude each other"),
        (train_unet, (*train, "--unfreeze", 3), "the encoder is not frozen"),
        (train_unet, (*train, "--unfreeze-rate", 0.1), "needs an unfreeze_epoch"),
        (seg_eval, (model, "--json", "one", "--csv", "one"), "need different files"),
        (seg_eval, (model, "--data", phantom, "--json", tmp_path), "it is a folder or a device"),
        (seg_eval, (tmp_path, "--data", phantom), "expected an ONNX file, found a folder"),
        (export_onnx, (tmp_path / "none",), "found no file"),
        (export_onnx, ("--ensemble", tmp_path / "none"), "--ensemble needs --out"),
        (export_onnx, ("--ensemble", "--out", tmp_path / "e.onnx"), "at least two networks"),
        (seg_data, ("phantom", phantom), "already exists and is not an empty folder"),
    ]
    for command, arguments, words in uses:
        assert_one_sentence(run(command, *arguments), words)


def test_a_missing_extra_is_named_with_its_install(monkeypatch: pytest.MonkeyPatch) -> None:
    found = sys.modules["importlib.util"].find_spec

    def without_torch(name: str, *rest: Any) -> Any:
        return None if name == "torch" else found(name, *rest)

    monkeypatch.setattr("runtime.core.extras.importlib.util.find_spec", without_torch)
    for command, extra in ((train_unet, "train"), (export_onnx, "export")):
        words = f"torch is not installed: run pip install '.[{extra}]' in the toolkit's folder"
        assert_one_sentence(run(command), words)


def test_debug_shows_the_traceback_above_the_sentence(tmp_path: Path) -> None:
    arguments = (tmp_path / "none.onnx", "--data", tmp_path)
    plain, debug = run(seg_eval, *arguments), run(seg_eval, *arguments, "--debug")
    assert debug.exit_code == plain.exit_code == 2
    assert debug.output.startswith("Traceback (most recent call last):")
    assert debug.output.endswith(plain.output)
