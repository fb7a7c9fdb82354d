"""The tolerance of a golden pair in another arithmetic, against PyTorch that computes in it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from runtime.data.resizing import to_input
from runtime.model.golden import GOLDEN_KEY, Difference, golden_input, parse_golden
from runtime.model.onnx_file import read_parts
from runtime.model.predictor import Predictor
from runtime.model.providers import Arithmetic
from runtime.model.replay import Replay, allowed_difference, replay_golden, rounded
from runtime.model.sessions import Engine, open_session
from runtime.model.weights import with_weights
from train.checkpoint import build_network, load_checkpoint

SHIPPED = Path(__file__).resolve().parents[2] / "artifacts" / "unet-scratch-w16.onnx"
KINDS: dict[Arithmetic, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}


@given(arrays.arrays(np.float32, 8, elements={"min_value": -60000.0, "max_value": 60000.0}))
def test_rounding_is_that_of_pytorch(values: NDArray[np.float32]) -> None:
    for name, kind in KINDS.items():
        expected = torch.from_numpy(values.copy()).to(kind).float().numpy()
        np.testing.assert_array_equal(rounded(values, name), expected)


def test_only_the_values_of_float32_weights_are_changed(model: Path) -> None:
    """Against the package onnx."""
    before, after = onnx.load(model), onnx.ModelProto()
    after.ParseFromString(with_weights(model, lambda values: values * 2))
    for old, new in zip(before.graph.initializer, after.graph.initializer, strict=True):
        factor = 2 if old.data_type == onnx.TensorProto.FLOAT else 1
        values = onnx.numpy_helper.to_array(old) * factor
        np.testing.assert_array_equal(onnx.numpy_helper.to_array(new), values)
        old.ClearField("raw_data")
        new.ClearField("raw_data")
    assert after == before


def torch_output(model: Path, run_folder: Path, kind: torch.dtype) -> NDArray[np.float32]:
    """The probabilities of a network whose weights and activations are of a type."""
    checkpoint = load_checkpoint(run_folder / "best.pt")
    network = build_network(checkpoint, "").eval().to(kind)
    golden = parse_golden(read_parts(model).properties[GOLDEN_KEY], "")
    inputs = to_input(golden_input(golden, (32, 32)))[None]
    with torch.no_grad():
        logits = network(torch.from_numpy(inputs).to(kind))
    probabilities: NDArray[np.float32] = torch.sigmoid(logits.float()).numpy()[0, 0]
    return probabilities


@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_what_pytorch_computes_in_an_arithmetic_is_allowed_in_it(
    model: Path, run_folder: Path, name: Arithmetic
) -> None:
    golden = parse_golden(read_parts(model).properties[GOLDEN_KEY], "")
    found = golden.difference(torch_output(model, run_folder, KINDS[name]))
    allowed = allowed_difference(model, golden, name, (32, 32), threads=1)
    assert found.within(allowed)
    assert not found.within(golden.tolerance)


@pytest.mark.parametrize(("name", "unit"), [("bf16", 2.0**-8), ("fp16", 2.0**-11)])
def test_where_weights_lose_nothing_the_rounding_of_a_probability_is_allowed(
    model: Path, tmp_path: Path, name: Arithmetic, unit: float
) -> None:
    content = with_weights(model, lambda w: rounded(w, name) if w.ndim > 1 else w)
    (tmp_path / "rounded.onnx").write_bytes(content)
    golden = parse_golden(read_parts(model).properties[GOLDEN_KEY], "")
    inputs = {"image": to_input(golden_input(golden, (32, 32)))[None]}
    exact = open_session(content, threads=1).run(None, inputs)[0][0, 0]
    golden = replace(golden, probabilities=exact)
    allowed = allowed_difference(tmp_path / "rounded.onnx", golden, name, (32, 32), threads=1)
    assert allowed.largest == pytest.approx(unit * exact.max(), rel=1e-3)
    assert allowed.mean == pytest.approx(unit * exact.mean(), rel=1e-3)


def test_bf16_is_noticed_where_float32_is_stated() -> None:
    """The shipped file, whose probabilities span the range, with its weights rounded to bf16."""
    golden = parse_golden(read_parts(SHIPPED).properties[GOLDEN_KEY], "")
    content = with_weights(SHIPPED, lambda values: rounded(values, "bf16"))
    inputs = {"image": to_input(golden_input(golden, (128, 128)))[None]}
    found = golden.difference(open_session(content, threads=1).run(None, inputs)[0][0, 0])
    assert not found.within(golden.tolerance)
    assert found.largest > 10 * golden.tolerance.largest
    assert found.within(allowed_difference(SHIPPED, golden, "bf16", (128, 128), threads=1))


def test_an_unstated_arithmetic_may_be_as_coarse_as_bf16(model: Path) -> None:
    golden = parse_golden(read_parts(model).properties[GOLDEN_KEY], "")
    unstated, bf16 = (
        allowed_difference(model, golden, name, (32, 32), threads=1) for name in ("default", "bf16")
    )
    assert unstated == bf16
    assert allowed_difference(model, golden, "float32", (32, 32), threads=1) == golden.tolerance


def test_a_replay_states_its_arithmetic_and_fails_outside_its_tolerance(model: Path) -> None:
    predictor = Predictor(model, threads=1)
    golden = parse_golden(read_parts(model).properties[GOLDEN_KEY], "")
    replay = replay_golden(predictor, golden)
    assert replay.passed
    assert replay.allowed == golden.tolerance
    assert "(allowed in float32: 1.0e-05 and 1.0e-05)" in str(replay)
    predictor.engine = Engine("cuda", "1", "GPU", "default", 1)
    assert "(allowed in an unstated arithmetic: " in str(replay_golden(predictor, golden))
    nan = Difference(float("nan"), 0.0)
    assert not Replay(nan, golden.tolerance, "float32").passed
