"""The certificate against figures that are computed here a second time, in float64."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from export.parity import (
    TOLERANCE,
    ParityCase,
    ParityMismatchError,
    ReferenceOutput,
    certify,
    make_parity_cases,
    run_reference,
)
from runtime.core.errors import ParityError
from runtime.data.coco import Dataset
from runtime.data.images import load_scan
from runtime.data.resizing import to_input
from runtime.metrics import pixel_sums, scores
from runtime.model.metadata import InputSpec
from runtime.model.sessions import open_session
from tests.support.quick_conversion import Convert
from train.checkpoint import build_network, load_checkpoint
from train.network import UNet

SIZE = (32, 32)


@pytest.fixture(scope="module")
def network() -> UNet:
    """A network whose probabilities are spread over [0, 1]."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(1)
        network = UNet("scratch", 2)
        for _ in range(3):
            network.train()(torch.rand(4, 3, 32, 32))
        logits = network.eval()(torch.rand(2, 3, 32, 32))
        network.head.weight.mul_(4.0 / logits.std())
        network.head.bias.copy_(-4.0 * (logits - network.head.bias).mean() / logits.std())  # type: ignore[union-attr]
    return network


@pytest.fixture(scope="module")
def model(network: UNet, quick_convert: Convert) -> onnx.ModelProto:
    return quick_convert([network], InputSpec(*SIZE, multiple=16))


@pytest.fixture(scope="module")
def cases(phantom_data: Dataset) -> tuple[ParityCase, ...]:
    return make_parity_cases(phantom_data.split("valid"), SIZE, 16, "boxes")


@pytest.fixture(scope="module")
def references(network: UNet, cases: tuple[ParityCase, ...]) -> tuple[ReferenceOutput, ...]:
    return run_reference([network], cases)


def with_bias(model: onnx.ModelProto, change: float) -> onnx.ModelProto:
    """The graph with another bias before its sigmoid, so that its numbers differ."""
    changed = copy.deepcopy(model)
    (bias,) = (tensor for tensor in changed.graph.initializer if tensor.name.endswith("head.bias"))
    values = numpy_helper.to_array(bias) + np.float32(change)
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))
    return changed


def test_real_images_are_spread_over_the_split_and_more_inputs_follow(
    phantom_data: Dataset,
) -> None:
    samples = phantom_data.split("train").samples
    assert len(samples) == 16
    cases = make_parity_cases(phantom_data.split("train"), SIZE, 16, "segmentation")
    places = [0, 2, 4, 6, 8, 10, 12, 15]  # eight of sixteen, with the first and the last
    real, rest = cases[:8], cases[8:]
    assert [case.name for case in real] == [samples[place].file_name for place in places]
    for case, place in zip(real, places, strict=True):
        pixels = load_scan(samples[place].path, SIZE).pixels
        np.testing.assert_array_equal(case.inputs, to_input(pixels)[None])
        np.testing.assert_array_equal(case.masks, samples[place].mask(SIZE, "segmentation")[None])
    assert [case.inputs.shape for case in rest] == [
        (8, 3, 32, 32), (1, 3, 48, 32), (1, 3, 32, 64), *[(1, 3, 32, 32)] * 4
    ]  # fmt: skip
    assert all(case.masks is None for case in rest)
    np.testing.assert_array_equal(rest[0].inputs, np.concatenate([c.inputs for c in real]))
    zero, one, noise, spot = (case.inputs for case in rest[3:])
    assert (zero.max(), one.min(), spot.sum()) == (0.0, 1.0, 3.0)
    assert noise.std() > 0.2


def test_the_reference_is_float64_and_beside_it_float32(
    network: UNet, cases: tuple[ParityCase, ...], references: tuple[ReferenceOutput, ...]
) -> None:
    exact = copy.deepcopy(network).double()
    for case, reference in zip(cases, references, strict=True):
        inputs = torch.from_numpy(case.inputs)
        with torch.no_grad():
            logits, single = exact(inputs.double()), torch.sigmoid(network(inputs))
        np.testing.assert_allclose(reference.logits[0], logits.numpy(), rtol=1e-12)
        np.testing.assert_allclose(
            reference.probabilities, torch.sigmoid(logits).numpy(), rtol=1e-12
        )
        np.testing.assert_array_equal(reference.single, single.numpy())


def test_the_reference_of_several_networks_is_the_mean_of_their_probabilities(
    network: UNet, cases: tuple[ParityCase, ...], references: tuple[ReferenceOutput, ...]
) -> None:
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.head.bias.add_(2.0)  # type: ignore[union-attr]
    (second,) = run_reference([other], cases[:1])
    (both,) = run_reference([network, other], cases[:1])
    mean = (references[0].probabilities + second.probabilities) / 2
    np.testing.assert_allclose(both.probabilities, mean, rtol=1e-12)
    assert both.logits.shape == (2, *references[0].probabilities.shape)


def test_each_figure_of_a_certificate_is_that_of_the_graph(
    model: onnx.ModelProto,
    cases: tuple[ParityCase, ...],
    references: tuple[ReferenceOutput, ...],
) -> None:
    changed = with_bias(model, 0.5)
    parity = certify(changed, cases, references, images_from="here", threads=1, tolerance=None)
    session = open_session(changed.SerializeToString(), threads=1)
    found = [session.run(None, {"image": case.inputs})[0] for case in cases]
    differences, flips, changes, single = [], 0, [], []
    for case, output, reference in zip(cases, found, references, strict=True):
        exact = reference.probabilities
        differences.append(np.abs(output - exact).ravel())
        flips += int(((output >= 0.5) != (exact >= 0.5)).sum())
        single.append(float(np.abs(output - reference.single).max()))
        for one, other, mask in zip(output, exact, case.masks if case.masks is not None else [],
                                    strict=case.masks is not None):  # fmt: skip
            ious = [scores(pixel_sums(p[0], mask)).iou for p in (one, other)]
            changes.append(abs(ious[0] - ious[1]))
    flat = np.concatenate(differences)
    assert flips > 1
    assert max(changes) > 1e-4
    assert parity.max_probability == pytest.approx(flat.max(), rel=1e-3)
    assert parity.p99_probability == pytest.approx(np.quantile(flat, 0.99), rel=1e-3)
    assert parity.max_logit == pytest.approx(0.5, abs=0.001)
    assert parity.p99_logit == pytest.approx(0.5, abs=0.001)
    assert parity.max_probability_float32 == pytest.approx(max(single), rel=1e-3)
    assert parity.flipped_pixels == flips
    assert parity.soft_iou_change == pytest.approx(max(changes), rel=1e-3)
    assert (parity.images, parity.images_from) == (4, "here")
    assert (parity.inputs, parity.pixels) == (sum(len(c.inputs) for c in cases), flat.size)
    assert parity.tolerance_probability is None


def test_figures_of_logits_and_of_float32_are_their_own(
    model: onnx.ModelProto,
    cases: tuple[ParityCase, ...],
    references: tuple[ReferenceOutput, ...],
) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.random(reference.logits.shape) for reference in references]
    moved = [
        replace(reference, logits=reference.logits + added, single=reference.single - 0.25)
        for reference, added in zip(references, noise, strict=True)
    ]
    parity = certify(model, cases, moved, images_from="here", threads=1, tolerance=None)
    flat = np.concatenate([added.ravel() for added in noise])
    assert parity.max_logit == pytest.approx(flat.max(), abs=1e-4)
    assert parity.p99_logit == pytest.approx(np.quantile(flat, 0.99), abs=1e-4)
    assert parity.max_probability_float32 == pytest.approx(0.25, abs=1e-4)
    assert parity.max_probability <= TOLERANCE


@pytest.mark.parametrize(("change", "passes"), [(0.0, True), (2e-5, True), (6e-5, False)])
def test_a_probability_may_differ_by_a_hundred_thousandth(
    model: onnx.ModelProto,
    cases: tuple[ParityCase, ...],
    references: tuple[ReferenceOutput, ...],
    change: float,
    passes: bool,
) -> None:
    """A change of the bias moves a probability by up to a quarter of it."""
    assert TOLERANCE == 1e-5
    settings: dict[str, Any] = {"images_from": "here", "threads": 1}
    if passes:
        parity = certify(with_bias(model, change), cases, references, **settings)
        assert parity.tolerance_probability == 1e-5
        assert parity.max_probability <= 1e-5
    else:
        with pytest.raises(ParityMismatchError, match="probabilities differ"):
            certify(with_bias(model, change), cases, references, **settings)


def test_a_logit_may_differ_by_ten_times_as_much_for_its_size(
    model: onnx.ModelProto,
    cases: tuple[ParityCase, ...],
    references: tuple[ReferenceOutput, ...],
) -> None:
    """Where probabilities are 0 or 1, logits alone tell a wrong graph."""
    largest = float(np.abs(references[0].logits).max())
    limit = 10.0 * TOLERANCE * (1.0 + largest)
    for factor, passes in ((0.5, True), (2.0, False)):
        moved = replace(references[0], logits=references[0].logits + factor * limit)
        settings: dict[str, Any] = {"images_from": "here", "threads": 1}
        if passes:
            certify(model, cases[:1], [moved], **settings)
        else:
            with pytest.raises(ParityMismatchError, match="logits differ") as caught:
                certify(model, cases[:1], [moved], **settings)
            assert caught.value.case is cases[0]


def network_of(run_folder: Path) -> UNet:
    network = build_network(load_checkpoint(run_folder / "best.pt"), "best.pt")
    assert isinstance(network, UNet)
    return network


def test_not_a_number_fails_the_gate(
    run_folder: Path, phantom_data: Dataset, converted_run: onnx.ModelProto
) -> None:
    network = network_of(run_folder)
    with torch.no_grad():
        network.head.bias.fill_(float("nan"))  # type: ignore[union-attr]
    cases = make_parity_cases(phantom_data.split("valid"), (32, 32), network.multiple, "boxes")
    model = copy.deepcopy(converted_run)
    (bias,) = (t for t in model.graph.initializer if t.name == "network.head.bias")
    bias.CopyFrom(numpy_helper.from_array(np.full(1, np.nan, np.float32), bias.name))
    with pytest.raises(ParityError, match="found nan"):
        certify(model, cases, run_reference([network], cases), images_from="", threads=1)


def test_comparison_inputs_have_one_size_where_no_other_is_allowed(phantom_data: Dataset) -> None:
    cases = make_parity_cases(phantom_data.split("valid"), (32, 32), 0, "boxes")
    assert {case.inputs.shape[2:] for case in cases} == {(32, 32)}
    assert {case.inputs.shape[0] for case in cases} == {1, 4}
