"""Replaying a golden pair on a provider, within what its arithmetic may change.

A file's golden pair states the tolerance of float32. A provider that computes in bf16 or fp16
rounds weights and activations to fewer bits: bf16 keeps 8 bits of the significand, fp16 11, float32
24 (https://arxiv.org/abs/1905.12322, table 1). How much that changes a probability depends on the
network. It is measured on the file itself: its weights are rounded to that arithmetic, and the
golden pair is computed with them in float32.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.core.errors import ConfigError
from runtime.data.resizing import to_input
from runtime.model.golden import Difference, Golden, golden_input
from runtime.model.metadata import INPUT_NAME, OUTPUT_NAME
from runtime.model.predictor import Predictor
from runtime.model.providers import Arithmetic
from runtime.model.sessions import open_session
from runtime.model.weights import with_weights

_MARGIN = 4.0
"""Factor on the effect of rounded weights: the activations of every layer are rounded as well."""
_BITS: dict[Arithmetic, int] = {"bf16": 8, "fp16": 11}
"""Bits of the significand; a number is rounded by at most 2 to the power of minus as many of it."""


@dataclass(frozen=True, slots=True)
class Replay:
    """The result of a replay.

    Attributes:
        difference: to the golden probabilities.
        allowed: the tolerance, in the arithmetic of the replay.
        arithmetic: of the replay.
    """

    difference: Difference
    allowed: Difference
    arithmetic: Arithmetic

    @property
    def passed(self) -> bool:
        """True if the difference is within the tolerance; NaN never is."""
        return self.difference.within(self.allowed)

    def __str__(self) -> str:
        found, allowed = self.difference, self.allowed
        kind = "an unstated arithmetic" if self.arithmetic == "default" else self.arithmetic
        return (
            f"largest difference {found.largest:.1e}, mean {found.mean:.1e} (allowed in {kind}: "
            f"{allowed.largest:.1e} and {allowed.mean:.1e})"
        )


def replay_golden(predictor: Predictor, golden: Golden) -> Replay:
    """Run a file's golden pair through a predictor of the file.

    Raises:
        ModelError: the network cannot be run.
    """
    output = predictor.run(to_input(golden_input(golden, predictor.size))[None])[0]
    arithmetic = predictor.engine.arithmetic
    allowed = allowed_difference(
        predictor.file.path, golden, arithmetic, predictor.size, threads=predictor.threads
    )
    return Replay(golden.difference(output), allowed, arithmetic)


def rounded(values: NDArray[np.float32], arithmetic: Arithmetic) -> NDArray[np.float32]:
    """Return values rounded to the nearest that an arithmetic has, ties to even, as float32.

    Args:
        values: float32, finite.
        arithmetic: "float32", "bf16" or "fp16".

    Raises:
        ConfigError: the arithmetic is "default".

    Example:
        >>> rounded(np.array([1.001, 1 / 3], np.float32), "bf16").tolist()
        [1.0, 0.333984375]
    """
    if arithmetic == "float32":
        return values
    if arithmetic == "fp16":
        return values.astype(np.float16).astype(np.float32)
    if arithmetic == "default":
        raise ConfigError("rounded: expected an arithmetic, found 'default'")
    bits = values.view(np.uint32)
    half = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return ((bits + half) & np.uint32(0xFFFF0000)).view(np.float32)


def allowed_difference(
    path: Path, golden: Golden, arithmetic: Arithmetic, size: tuple[int, int], *, threads: int
) -> Difference:
    """Return the tolerance of a golden pair in an arithmetic.

    In float32 it is the file's own. In another arithmetic it is four times the difference that
    rounding the file's weights makes, and the rounding of the probability itself. A provider that
    does not say what it computes in ("default") may be as coarse as bf16.

    Args:
        path: the ONNX file, whose input and output have the names of an exported file.
        golden: its golden pair.
        arithmetic: what the provider computes in.
        size: (height, width) of the network's input.
        threads: of the computation.

    Raises:
        ModelError: the file cannot be read or run.
    """
    if arithmetic == "float32":
        return golden.tolerance
    kind: Arithmetic = "bf16" if arithmetic == "default" else arithmetic
    # Biases and scales stay in float32.
    content = with_weights(path, lambda w: rounded(w, kind) if w.ndim > 1 else w)
    inputs = {INPUT_NAME: to_input(golden_input(golden, size))[None]}
    output = open_session(content, threads=threads).run([OUTPUT_NAME], inputs)[0][0, 0]
    effect, own, unit = golden.difference(output), golden.tolerance, 2.0 ** -_BITS[kind]
    return Difference(
        max(own.largest, _MARGIN * effect.largest + unit * float(golden.probabilities.max())),
        max(own.mean, _MARGIN * effect.mean + unit * float(golden.probabilities.mean())),
    )
