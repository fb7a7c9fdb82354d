"""The records in a file's metadata of how it was checked, and of how a variant was made."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Parity:
    """The certificate: the result of comparing the file with its PyTorch network.

    The reference is the network in float64, because PyTorch's float32 differs from it as much as
    the file does. For an ensemble, it is the mean of the members' probabilities in float64.

    Attributes:
        images: number of real images that were compared.
        images_from: their data set and split.
        inputs: number of all inputs, with artificial ones, other sizes and batches.
        pixels: number of compared output values.
        max_probability, p99_probability: largest and 99th-percentile absolute difference.
        max_logit, p99_logit: the same before the sigmoid, over all members of an ensemble.
        max_probability_float32: largest difference to PyTorch in float32.
        tolerance_probability: the largest difference that passes; None if the file need not give
            the network's own numbers (`Metadata.conversion` says how it was judged).
        flipped_pixels: number of values on different sides of 0.5.
        soft_iou_change: largest absolute change of a real image's soft IoU; undefined changes
            count as 0.
        providers: of ONNX Runtime.
        digest: SHA-256 of the graph and weights that were compared (`OnnxFile.digest`).
    """

    images: int
    images_from: str
    inputs: int
    pixels: int
    max_probability: float
    p99_probability: float
    max_logit: float
    p99_logit: float
    max_probability_float32: float
    tolerance_probability: float | None
    flipped_pixels: int
    soft_iou_change: float
    versions: dict[str, str]
    providers: tuple[str, ...]
    digest: str = ""


@dataclass(frozen=True, slots=True)
class UnconvertedLayer:
    """A layer that is the same as in the plain file, with its weight and the reason."""

    name: str
    weight: str
    reason: str


@dataclass(frozen=True, slots=True)
class Timing:
    """Median latencies for one image, in milliseconds, from one interleaved measurement.

    Attributes:
        before_ms, after_ms: of the plain float32 file and of this file.
        runs: timed runs of each file.
        threads: of ONNX Runtime.
        machine: the processor.
    """

    before_ms: float
    after_ms: float
    runs: int
    threads: int
    machine: str
    onnxruntime: str


@dataclass(frozen=True, slots=True)
class Conversion:
    """How a variant was made from the plain float32 file of its network, and what that changed.

    Attributes:
        method: of the conversion, in words.
        plain_digest, plain_bytes: digest of the plain file's graph and weights, and its size.
        calibration: number and source of the images that ranges were taken from, in words; empty
            if there are no ranges.
        unconverted: the layers that were not converted, in the order of the graph.
        max_difference: largest difference of probabilities to the plain file's, on the inputs of
            the certificate.
        judged_on: number and source of the images that soft IoU was compared on, in words.
        soft_iou_before, soft_iou_after: pooled, of the plain file and of this file.
        soft_iou_fall_allowed: the largest fall that passes.
        timing: of both files.
    """

    method: str
    plain_digest: str
    plain_bytes: int
    calibration: str
    unconverted: tuple[UnconvertedLayer, ...]
    max_difference: float
    judged_on: str
    soft_iou_before: float
    soft_iou_after: float
    soft_iou_fall_allowed: float
    timing: Timing
