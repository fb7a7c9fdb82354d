"""Forms of a graph: half storage, pixel shuffles, INT8, each against what it must compute."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from click.testing import CliRunner

from export.cli import main
from export.conversion import ensure_standard
from export.inspection.file import inspect
from export.model_file import model_card
from export.onnx_export import export_checkpoints
from export.request import ExportRequest, default_output
from export.variants.variants import int8_variants
from runtime.core.errors import ParityError
from runtime.data.coco import Dataset
from runtime.data.samples import Sample
from runtime.model.metadata import InputSpec
from runtime.model.onnx_file import read_onnx
from runtime.model.predictor import Predictor
from runtime.model.verification import verify
from tests.support.layer_speeds import fast

SPEC = InputSpec(32, 32, multiple=16)


def test_ranges_are_taken_from_images_of_the_whole_train_split(
    plain: onnx.ModelProto, phantom_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = phantom_data.split("train")
    samples = [replace(train.samples[0], file_name=str(number)) for number in range(200)]
    splits = {**phantom_data.splits, "train": replace(train, samples=tuple(samples))}
    taken: list[int] = []

    class Choice:
        def __init__(self, _model: object, samples: Sequence[Sample], *_: object, **__: object):
            taken.extend(int(sample.file_name) for sample in samples)

        def candidates(self) -> Iterator[object]:
            return iter(())

    monkeypatch.setattr("export.variants.variants.LayerChoice", Choice)
    assert list(int8_variants(plain, SPEC, replace(phantom_data, splits=splits), threads=1)) == []
    assert (taken[0], taken[-1], len(taken)) == (0, 199, 64)
    assert set(np.diff(taken)) == {3, 4}


@pytest.fixture(scope="module")
def int8(
    run_folder: Path,
    phantom: Path,
    converted_once: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A file whose layers do not depend on the speed of this machine: all but the head in INT8."""
    output = tmp_path_factory.mktemp("int8") / "tiny-int8.onnx"
    request = ExportRequest(
        [run_folder / "best.pt"],
        output,
        data=phantom,
        precision="int8",
        threads=1,
        license="CC-BY-NC-4.0",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("export.variants.layer_choice.measure_layers", fast(set()))
        return export_checkpoints(request).file.path


def test_an_int8_file_is_certified_and_states_what_it_is(int8: Path, model: Path) -> None:
    file, plain = read_onnx(int8), read_onnx(model)
    about = file.metadata
    assert about is not None
    assert about.precision == "int8"
    assert about.license == "CC-BY-NC-4.0"
    assert about.conversion is not None
    assert about.parity is not None
    assert about.conversion.plain_digest == plain.digest
    fall = about.conversion.soft_iou_before - about.conversion.soft_iou_after
    assert fall <= about.conversion.soft_iou_fall_allowed == 0.005
    assert about.conversion.calibration.startswith("16 images of phantom")
    assert "network.head/Conv" in {layer.name for layer in about.conversion.unconverted}
    assert about.parity.tolerance_probability is None
    assert about.parity.max_probability > 1e-5
    found = verify(int8)
    assert found.passed
    assert found.engine is not None
    assert str(found.engine).endswith(", int8 and float32")
    onnx.checker.check_model(onnx.load(int8), full_check=True)
    ensure_standard(onnx.load(int8))
    counted, expected = inspect(int8).counts.total, inspect(model).counts.total
    assert (counted.macs, counted.parameters) == (
        expected.macs,
        # An upsampling's bias is stored for each of its four pixels.
        expected.parameters + 3 * sum(4 * 2**level for level in range(4)),
    )


def test_an_int8_file_takes_any_batch_and_size(int8: Path) -> None:
    predictor = Predictor(int8, threads=1)
    images = np.random.default_rng(0).random((8, 3, 48, 64), np.float32)
    together = predictor.run(images)
    for image, output in zip(images, together, strict=True):
        np.testing.assert_allclose(predictor.run(image[None])[0], output, atol=1e-6)


def test_the_card_of_an_int8_file_says_what_was_changed(int8: Path) -> None:
    file = read_onnx(int8)
    card = int8.with_suffix(".md").read_text()
    assert card == model_card(file)
    _, front, body = card.split("---\n", 2)
    results = yaml.safe_load(front)["model-index"][0]["results"]
    (metric,) = results[-1]["metrics"]
    assert file.metadata is not None
    assert file.metadata.conversion is not None
    assert metric["type"] == "soft_iou_pooled"
    assert metric["value"] == pytest.approx(file.metadata.conversion.soft_iou_after, abs=1e-6)
    assert "## INT8" in body
    assert yaml.safe_load(front)["license"] == "cc-by-nc-4.0"
    assert "The network's license is CC-BY-NC-4.0." in body
    for layer in file.metadata.conversion.unconverted:
        assert f"- Not converted: `{layer.name}`, {layer.reason}." in body


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_a_variant_that_costs_too_much_is_not_written(
    precision: str,
    run_folder: Path,
    phantom: Path,
    tmp_path: Path,
    converted_once: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("export.variants.variants.ALLOWED_FALL", -1.0)
    monkeypatch.setattr("export.variants.layer_choice.measure_layers", fast(set()))
    with pytest.raises(
        ParityError,
        match=rf"{precision} costs too much accuracy: .* falls by .*, at most -1 is allowed",
    ):
        export_checkpoints(
            ExportRequest(
                [run_folder / "best.pt"],
                tmp_path / "m.onnx",
                data=phantom,
                precision=precision,  # type: ignore[arg-type]
                threads=1,
            )
        )
    assert list(tmp_path.iterdir()) == []


def test_the_command_names_files_after_their_precision(
    run_folder: Path, phantom: Path, converted_once: None, tmp_path: Path
) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "best.pt").write_bytes((run_folder / "best.pt").read_bytes())
    assert default_output(folder / "best.pt") == tmp_path / "tiny.onnx"
    arguments = [str(folder), "--precision", "fp16", "--data", str(phantom)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    path = tmp_path / "tiny-fp16.onnx"
    assert f"{path}: " in result.output
    assert "of the float32 file's size" in result.output
    found = verify(path)
    assert found.passed
    assert found.difference is not None
    about = read_onnx(path).metadata
    assert about is not None
    assert (about.name, about.precision) == ("tiny-fp16", "fp16")
    assert about.conversion is not None
