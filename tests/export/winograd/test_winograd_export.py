"""`--optimize winograd`: a file of its own, behind the gates of every other form."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from export.cli import main
from export.conversion import ensure_standard
from export.inspection.file import inspect
from export.onnx_export import export_checkpoints
from export.request import ExportRequest
from export.winograd import ConvAlgorithm, rewrite
from runtime.core.errors import ConfigError, ParityError
from runtime.model.onnx_file import read_onnx
from runtime.model.predictor import Predictor
from runtime.model.timing import PredictionLatency
from runtime.model.verification import verify


def taking(monkeypatch: pytest.MonkeyPatch, *milliseconds: float) -> None:
    """Let the plain file and the rewritten one take this long, and F(4x4,3x3) be chosen.

    A network as small as a test's does not gain.
    """

    def measure(predictors: Sequence[Predictor], *, runs: int) -> tuple[PredictionLatency, ...]:
        assert len(predictors) == len(milliseconds)
        return tuple(PredictionLatency(ms, ms, ms, ms, runs, 1) for ms in milliseconds)

    chosen = partial(
        rewrite, choose=lambda shape: ConvAlgorithm.F4 if shape.inputs > 3 else ConvAlgorithm.DIRECT
    )
    monkeypatch.setattr("export.variants.evaluation.measure_latency", measure)
    monkeypatch.setattr("export.variants.variants.rewrite", chosen)


def test_a_rewritten_file_is_certified_and_states_what_it_is(
    run_folder: Path,
    phantom: Path,
    model: Path,
    converted_once: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taking(monkeypatch, 10.0, 5.0)
    path = tmp_path / "tiny-winograd.onnx"
    export_checkpoints(
        ExportRequest(
            [run_folder / "best.pt"], path, data=phantom, optimization="winograd", threads=1
        )
    )
    ensure_standard(onnx.load(path))
    about = read_onnx(path).metadata
    assert about is not None
    assert about.conversion is not None
    assert about.parity is not None
    assert "17 F(4x4,3x3), 1 direct" in about.conversion.method
    assert [layer.weight for layer in about.conversion.unconverted] == [
        "network.encoder.levels.0.0.weight"
    ]
    assert about.conversion.plain_digest == read_onnx(model).digest
    assert about.conversion.timing.after_ms == 5.0
    assert about.parity.tolerance_probability == 1e-4
    assert 0.0 < about.parity.max_probability <= 1e-4
    assert (about.input.height, about.input.width, about.input.multiple) == (32, 32, 0)
    assert verify(path).passed
    onnx.checker.check_model(onnx.load(path), full_check=True)
    # All but the biases, some of which are folded into a later layer's.
    stored, plain = (inspect(file).counts.total.parameters for file in (path, model))
    assert 0.97 * plain < stored <= plain
    images = np.random.default_rng(0).random((3, 3, 32, 32), np.float32)
    expected = Predictor(model, threads=1).run(images)
    np.testing.assert_allclose(Predictor(path, threads=1).run(images), expected, atol=1e-4)
    assert about.conversion.max_difference <= 1e-4
    with pytest.raises(ConfigError, match="expected an input of 32x32, found 48x48"):
        Predictor(path, size=(48, 48))


def test_a_file_that_is_not_faster_is_not_written(
    run_folder: Path,
    phantom: Path,
    converted_once: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taking(monkeypatch, 5.0, 5.5)
    with pytest.raises(
        ParityError, match=r"not faster .* 5.5 ms .* plain file 5 ms; no file was written"
    ):
        export_checkpoints(
            ExportRequest(
                [run_folder / "best.pt"], tmp_path / "m.onnx", data=phantom, optimization="winograd"
            )
        )
    assert list(tmp_path.iterdir()) == []


def test_wrong_use_is_reported(
    run_folder: Path, phantom: Path, converted_once: None, tmp_path: Path
) -> None:
    out = ["--out", str(tmp_path / "m.onnx"), "--data", str(phantom)]
    both = [str(run_folder), *out, "--optimize", "winograd", "--precision", "int8"]
    result = CliRunner().invoke(main, both)
    assert result.exit_code == 2
    assert "--optimize winograd needs --precision fp32" in result.output
    # At 32x32 and width 4 every layer is fastest as it is.
    result = CliRunner().invoke(main, [str(run_folder), *out, "--optimize", "winograd"])
    assert result.exit_code == 2
    assert "no 3x3 convolution of this network would gain at 32x32" in result.output
    assert list(tmp_path.iterdir()) == []
