"""From networks to a file: the graph, its comparison with PyTorch, its form, what lies in it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx

from export.card import model_card
from export.conversion import convert
from export.file import write_model
from export.golden_pair import choose_scan, exact_pair, own_pair
from export.localization import first_difference
from export.parity import TOLERANCE, Case, DifferenceError, certify, expect, make_cases
from export.variants.effect import Effect, EffectMeter
from export.variants.variants import (
    Optimization,
    Precision,
    Variant,
    half_variant,
    int8_variants,
    winograd_variant,
)
from runtime.core.errors import ConfigError, ParityError
from runtime.core.files import ensure_replaceable, write_text
from runtime.data.coco import Dataset
from runtime.data.samples import MaskKind
from runtime.model.metadata import INPUT_NAME, OUTPUT_NAME, Conversion, Metadata
from runtime.model.onnx_file import OnnxFile
from runtime.model.sessions import open_session
from train.network import UNet


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be written.

    Attributes:
        networks: in eval mode; several become their mean.
        metadata: what the file says, without a certificate.
        dataset: its valid split gives the real images of the comparison, its train split those
            for calibration.
        masks: what soft IoU is taken against.
        threads: of ONNX Runtime.
        on_step: told what is being done.
    """

    networks: Sequence[UNet]
    metadata: Metadata
    dataset: Dataset
    masks: MaskKind
    precision: Precision
    optimization: Optimization | None
    threads: int
    on_step: Callable[[str], None]


def card_path(target: Path) -> Path:
    """Return where the model card of an exported file goes: beside it, RUN.md."""
    return target.with_suffix(".md")


def write_networks(order: Order, target: Path) -> OnnxFile:
    """Write networks as one file, once it has been compared with PyTorch, and its card beside it.

    Raises:
        ConfigError: `target` does not end in .onnx, or there is no such form of the networks.
        ParityError: the file would not compute what the networks compute, would cost too much
            accuracy, or is meant to be faster and is not; none is written.
        OutputError: the file cannot be written.
    """
    if target.suffix != ".onnx":  # a checkpoint in its place would be lost
        raise ConfigError(f"{target}: expected a file name that ends in .onnx")
    ensure_replaceable(target)
    spec, valid = order.metadata.input, order.dataset.split("valid")
    order.on_step("converting")
    plain = convert(order.networks, spec)
    order.on_step("comparing with PyTorch")
    cases = make_cases(valid, (spec.height, spec.width), spec.multiple, order.masks)
    expected = expect(order.networks, cases)
    images_from = f"{order.dataset.name}, valid"
    try:
        parity = certify(plain, cases, expected, images_from=images_from, threads=order.threads)
    except DifferenceError as error:
        raise ParityError(f"{error}{_where(order, plain, error)}; no file was written") from error
    scan = choose_scan(plain, spec, order.threads)
    if order.precision == "fp32" and order.optimization is None:
        golden = exact_pair(scan, order.networks, spec, tolerance=TOLERANCE)
        file = write_model(target, plain, replace(order.metadata, parity=parity), golden)
        write_text(card_path(target), model_card(file))
        return file
    variant, effect = _judged(order, plain)
    fitting = [
        (case, wanted)
        for case, wanted in zip(cases, expected, strict=True)
        if variant.input.multiple or case.inputs.shape[2:] == (spec.height, spec.width)
    ]
    cases, expected = (tuple(part) for part in zip(*fitting, strict=True))
    try:
        parity = certify(
            variant.model,
            cases,
            expected,
            images_from=images_from,
            threads=order.threads,
            tolerance=variant.tolerance,
        )
    except DifferenceError as error:
        raise ParityError(f"{error}; no file was written") from error
    metadata = replace(
        order.metadata,
        input=variant.input,
        parity=parity,
        precision=variant.precision,
        conversion=_conversion(order, plain, variant, effect, cases),
    )
    golden = (
        own_pair(scan, variant.model, spec, threads=order.threads)
        if variant.tolerance is None
        else exact_pair(scan, order.networks, spec, tolerance=variant.tolerance)
    )
    file = write_model(target, variant.model, metadata, golden)
    write_text(card_path(target), model_card(file))
    return file


def _where(order: Order, plain: onnx.ModelProto, error: DifferenceError) -> str:
    """Return which layer is the first to differ, as the end of a sentence."""
    # Two images are enough to tell what goes wrong from a batch.
    inputs = error.case.inputs[:2]
    found = first_difference(plain, order.networks, inputs, threads=order.threads)
    if found is None:
        return ", in no layer that can be looked at alone"
    return (
        f", first in layer {found.layer} ({found.operator}), by {found.relative:.2g} of its "
        "largest value"
    )


def _variants(order: Order, plain: onnx.ModelProto) -> Iterator[Variant]:
    spec = order.metadata.input
    if order.optimization == "winograd":
        yield winograd_variant(plain, spec)
    elif order.precision == "fp16":
        yield half_variant(plain, spec)
    else:
        yield from int8_variants(
            plain,
            spec,
            order.dataset,
            threads=order.threads,
            on_step=order.on_step,
        )


def _judged(order: Order, plain: onnx.ModelProto) -> tuple[Variant, Effect]:
    """Return the first graph of the form that is wanted that costs little enough accuracy.

    Raises:
        ParityError: none does, or one that is there for its speed is not faster.
    """
    spec, form = order.metadata.input, order.optimization or order.precision
    valid = order.dataset.split("valid")
    meter = EffectMeter(plain, valid, (spec.height, spec.width), order.masks, order.threads)
    found = "no layer that is worth it"
    least, allowed = np.inf, 0.0
    for variant in _variants(order, plain):
        order.on_step("scoring the valid split and timing")
        effect = meter.measure(variant.model)
        least, allowed = min(least, effect.fall), variant.allowed_fall
        found = f"a fall of {least:.2g}"
        timing = effect.timing
        if variant.for_speed and timing.after_ms >= timing.before_ms:
            raise ParityError(
                f"export, {form}: expected an image to take less than {timing.before_ms:.3g} ms as "
                f"in the plain file, found {timing.after_ms:.3g} ms; no file was written"
            )
        # Written so that a NaN fails.
        if effect.fall <= variant.allowed_fall:
            return variant, effect
    raise ParityError(
        f"export, {form}: expected pooled soft IoU on {order.dataset.name}, valid, to fall by at "
        f"most {allowed:g}, found {found}; no file was written"
    )


def _conversion(
    order: Order, plain: onnx.ModelProto, variant: Variant, effect: Effect, cases: Sequence[Case]
) -> Conversion:
    valid = order.dataset.split("valid")
    return Conversion(
        method=variant.method,
        plain_digest=effect.plain_digest,
        plain_bytes=effect.plain_bytes,
        calibration=variant.calibration,
        unconverted=variant.kept,
        max_difference=_largest_difference(plain, variant.model, cases, order.threads),
        judged_on=f"{len(valid.samples)} images of {order.dataset.name}, valid",
        soft_iou_before=effect.soft_iou_before,
        soft_iou_after=effect.soft_iou_after,
        soft_iou_fall_allowed=variant.allowed_fall,
        timing=effect.timing,
    )


def _largest_difference(
    one: onnx.ModelProto, other: onnx.ModelProto, cases: Sequence[Case], threads: int
) -> float:
    sessions = [open_session(model.SerializeToString(), threads=threads) for model in (one, other)]
    outputs = (
        [session.run([OUTPUT_NAME], {INPUT_NAME: case.inputs})[0] for session in sessions]
        for case in cases
    )
    return max(float(np.abs(first - second).max()) for first, second in outputs)
