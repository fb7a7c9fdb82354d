"""From networks to a file: the graph, its comparison with PyTorch, its form, what lies in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from export.card import model_card
from export.conversion import convert
from export.file import write_model
from export.golden_pair import choose_scan, exact_pair, own_pair
from export.localisation import first_difference
from export.parity import TOLERANCE, DifferenceError, certify, expect, make_cases
from export.variants.effect import Effect, EffectMeter
from export.variants.forms import ALLOWED_FALL, Precision, Variant, half_variant, int8_variants
from runtime.coco import Dataset
from runtime.errors import ParityError
from runtime.files import ensure_replaceable, write_text
from runtime.metadata import Conversion, Metadata
from runtime.onnx_file import OnnxFile
from runtime.samples import MaskKind
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
    threads: int
    on_step: Callable[[str], None]


def card_path(target: Path) -> Path:
    """Return where the model card of an exported file goes: beside it, RUN.md."""
    return target.with_suffix(".md")


def write_networks(order: Order, target: Path) -> OnnxFile:
    """Write networks as one file, once it has been compared with PyTorch, and its card beside it.

    Raises:
        ParityError: the file would not compute what the networks compute, or a lower precision
            would cost too much accuracy; none is written.
        OutputError: the file cannot be written.
    """
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
    if order.precision == "fp32":
        golden = exact_pair(scan, order.networks, spec, tolerance=TOLERANCE)
        file = write_model(target, plain, replace(order.metadata, parity=parity), golden)
    else:
        variant, effect = _judged(order, plain)
        parity = certify(
            variant.model,
            cases,
            expected,
            images_from=images_from,
            threads=order.threads,
            tolerance=None,
        )
        metadata = replace(
            order.metadata,
            parity=parity,
            precision=order.precision,
            conversion=_conversion(order, variant, effect),
        )
        golden = own_pair(scan, variant.model, spec, threads=order.threads)
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


def _judged(order: Order, plain: onnx.ModelProto) -> tuple[Variant, Effect]:
    """Return the first form of a lower precision that costs little enough.

    Raises:
        ParityError: none does.
    """
    spec = order.metadata.input
    meter = EffectMeter(
        plain,
        order.dataset.split("valid"),
        (spec.height, spec.width),
        order.masks,
        order.threads,
    )
    least: Effect | None = None
    variants = (
        int8_variants(
            plain,
            spec,
            order.dataset,
            masks=order.masks,
            threads=order.threads,
            on_step=order.on_step,
        )
        if order.precision == "int8"
        else iter([half_variant(plain)])
    )
    for variant in variants:
        order.on_step("scoring the valid split")
        effect = meter.measure(variant.model)
        if effect.fall <= ALLOWED_FALL:
            return variant, effect
        least = effect if least is None or effect.fall < least.fall else least
    found = "no layer that is worth it" if least is None else f"a fall of {least.fall:.4f}"
    raise ParityError(
        f"export, {order.precision}: expected pooled soft IoU on {order.dataset.name}, valid, to "
        f"fall by at most {ALLOWED_FALL}, found {found}; no file was written"
    )


def _conversion(order: Order, variant: Variant, effect: Effect) -> Conversion:
    valid = order.dataset.split("valid")
    return Conversion(
        method=variant.method,
        plain_digest=effect.plain_digest,
        plain_bytes=effect.plain_bytes,
        calibration=variant.calibration,
        kept=variant.kept,
        judged_on=f"{len(valid.samples)} images of {order.dataset.name}, valid",
        soft_iou_before=effect.soft_iou_before,
        soft_iou_after=effect.soft_iou_after,
        soft_iou_fall_allowed=ALLOWED_FALL,
        timing=effect.timing,
    )
