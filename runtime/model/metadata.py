"""What an exported file says about itself: one versioned JSON document in its `metadata_props`."""

import json
from dataclasses import dataclass

from runtime.core.errors import ConfigError, ModelError
from runtime.core.json_files import parse_json
from runtime.core.schema import from_dict, to_dict
from runtime.data.images import MAX_SIDE, RESIZE_FILTER, Size

KEY = "segmentation"
SCHEMA = "2.0"
INPUT_NAME, OUTPUT_NAME = "image", "probability"


@dataclass(frozen=True, slots=True)
class InputSpec:
    """How an image becomes the network's input, float32 [batch, 3, height, width].

    Attributes:
        height, width: in pixels, what the network was trained at.
        multiple: other heights and widths must be multiples of this; 0 where none are allowed.
        minimum, maximum: the range of the values, which stand for the levels 0 and 255.
        resize_filter, antialias: of the resize, as in Pillow's `Image.resize`.
        jpeg_scaled_decoding: whether a JPEG of at least twice the size is decoded at a fraction of
            its size first (Pillow's `Image.draft`).
    """

    height: int
    width: int
    multiple: int = 0
    color_order: str = "RGB"
    minimum: float = 0.0
    maximum: float = 1.0
    resize_filter: str = RESIZE_FILTER
    antialias: bool = True
    jpeg_scaled_decoding: bool = True

    def check_size(self, size: Size, where: str) -> None:
        """Raise ConfigError where the network cannot take an input of this (height, width)."""
        if size == (self.height, self.width):
            return
        if not self.multiple:
            raise ConfigError(
                f"{where}: expected an input of {self.height}x{self.width}, "
                f"found {size[0]}x{size[1]}"
            )
        if any(not 0 < side <= MAX_SIDE or side % self.multiple for side in size):
            raise ConfigError(
                f"{where}: expected a height and width in multiples of {self.multiple} up to "
                f"{MAX_SIDE}, found {size[0]}x{size[1]}"
            )


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """What the output, float32 [batch, 1, height, width] in [0, 1], means."""

    labels: tuple[str, ...]
    meaning: str = "probability that the pixel is foreground, after a sigmoid"


@dataclass(frozen=True, slots=True)
class NetworkInfo:
    """The network.

    Attributes:
        arch: of the encoder; "ensemble" for several networks in one file.
        width: of the decoder's last level; 0 for an ensemble, whose members have their own.
        parameters: of the trained network, normalization included.
        macs: multiply-accumulate operations of one image at the input's height and width.
    """

    arch: str
    width: int
    parameters: int
    macs: int


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """Pretrained weights of the encoder: where they come from, their file's SHA-256 and license.

    Attributes:
        frozen: whether the encoder still has them, and was never trained.
    """

    source: str
    sha256: str
    license: str | None
    frozen: bool


@dataclass(frozen=True, slots=True)
class TrainingInfo:
    """How the network was trained.

    Attributes:
        data_sha256: over the manifest of the train and valid splits (`runtime.manifest_sha256`).
        images: images a split.
        epochs, best_epoch: trained, and the one whose weights these are.
        loss: in words.
        validation: loss and soft metrics of the best epoch, means over images.
        augmented: whether the training images were changed at random.
    """

    data_name: str
    data_sha256: str
    data_license: str | None
    images: dict[str, int]
    masks: str
    epochs: int
    best_epoch: int
    batch_size: int
    learning_rate: float
    seed: int
    optimizer: str
    loss: str
    validation: dict[str, float]
    versions: dict[str, str]
    augmented: bool = False


@dataclass(frozen=True, slots=True)
class MemberInfo:
    """One network of an ensemble: its run's name, and what a file of its own would say."""

    name: str
    network: NetworkInfo
    training: TrainingInfo
    encoder: EncoderInfo | None


@dataclass(frozen=True, slots=True)
class Parity:
    """The certificate: how the file was compared with the PyTorch network that it came from.

    The reference is the network in float64, since PyTorch's own float32 is off by as much as the
    file is; of an ensemble, the mean of its members' probabilities in float64.

    Attributes:
        images: real images that were compared.
        images_from: the data set they are from.
        inputs: compared inputs in all, with artificial ones, other sizes and batches.
        pixels: compared output values.
        max_probability, p99_probability: largest and 99th-percentile absolute difference.
        max_logit, p99_logit: the same before the sigmoid, over all members of an ensemble.
        max_probability_float32: largest difference to PyTorch in float32.
        tolerance_probability: the largest difference that would have passed; None where the file
            is not meant to give the network's own numbers (`Metadata.conversion` says how it was
            judged).
        flipped_pixels: values on different sides of 0.5.
        soft_iou_change: largest absolute change of a real image's soft IoU; NaN is 0.
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
    """A layer that stays as in the plain file, its weight, and why."""

    name: str
    weight: str
    reason: str


@dataclass(frozen=True, slots=True)
class Timing:
    """Median latencies of one image, in milliseconds, measured in turn in one run.

    Attributes:
        before_ms, after_ms: of the plain float32 file and of this one.
        runs: of each, after the warm-up.
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
    """How a file departs from the plain float32 file of the same network, and what that changed.

    Attributes:
        method: in words.
        plain_digest, plain_bytes: digest of the plain file's graph and weights, and its size.
        calibration: how many images the ranges were taken from, and from where; empty where there
            are no ranges.
        unconverted: the layers that stay in float32, in the order of the graph.
        max_difference: the largest difference of probabilities to the plain file's, on the inputs
            of the certificate.
        judged_on: how many images soft IoU was compared on, and from where.
        soft_iou_before, soft_iou_after: pooled, of the plain file and of this one.
        soft_iou_fall_allowed: the largest fall that would have passed.
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


@dataclass(frozen=True, slots=True)
class Metadata:
    """The whole document.

    Attributes:
        training, encoder: None in an ensemble, whose members have their own.
        members: of an ensemble, whose output is the mean of their probabilities; else empty.
        precision: of the weights: "fp32", "fp16" or "int8".
        conversion: how the file was made from the plain one; None in the plain one.
        license: SPDX identifier of the terms under which the network may be used; None where its
            author states none.
        schema: "major.minor"; a reader knows one major version.
    """

    name: str
    input: InputSpec
    output: OutputSpec
    network: NetworkInfo
    training: TrainingInfo | None = None
    encoder: EncoderInfo | None = None
    parity: Parity | None = None
    members: tuple[MemberInfo, ...] = ()
    precision: str = "fp32"
    conversion: Conversion | None = None
    license: str | None = None
    schema: str = SCHEMA


def dump_metadata(metadata: Metadata) -> str:
    """Return the document as JSON."""
    return json.dumps(to_dict(metadata), allow_nan=False, sort_keys=True)


def parse_metadata(text: str, where: str) -> Metadata:
    """Read the document.

    Raises:
        ModelError: it is not JSON, lacks a field, or is of another major version.
    """
    content = parse_json(text, where=f"{where}: metadata", error=ModelError)
    version = content.get("schema") if isinstance(content, dict) else None
    major = SCHEMA.split(".")[0]
    if not isinstance(version, str) or version.split(".")[0] != major:
        raise ModelError(f"{where}: expected metadata of version {major}, found {version!r}")
    metadata = from_dict(Metadata, content, where=f"{where}: metadata", error=ModelError)
    spec = metadata.input
    if not (0 < spec.height <= MAX_SIDE and 0 < spec.width <= MAX_SIDE and spec.multiple >= 0):
        raise ModelError(
            f"{where}: expected an input of 1 to {MAX_SIDE} pixels a side, found "
            f"{spec.height}x{spec.width}"
        )
    expected = InputSpec(spec.height, spec.width, spec.multiple)
    if spec != expected:
        raise ModelError(
            f"{where}: expected an input of RGB in [0, 1], resized with the antialiased "
            f"{RESIZE_FILTER} filter, found {to_dict(spec)}"
        )
    return metadata
