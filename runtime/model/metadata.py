"""The metadata of an exported file: one versioned JSON document in its `metadata_props`."""

import json
from dataclasses import dataclass, field

from runtime.core.errors import ConfigError, ModelError
from runtime.core.json_files import parse_json
from runtime.core.schema import from_dict, to_dict
from runtime.core.settings import EmptyImages, Resize
from runtime.data.framing import Framing
from runtime.data.levels import MAX_LEVEL
from runtime.data.orientation import Size
from runtime.data.resizing import MAX_SIDE, RESIZE_FILTER
from runtime.data.volumes.spec import VolumeSpec
from runtime.model.certificate import Conversion, Parity

KEY = "segmentation"
SCHEMA = "2.4"
INPUT_NAME, OUTPUT_NAME = "image", "probability"
_VIEW = ("view_height", "view_width")


@dataclass(frozen=True, slots=True)
class InputSpec:
    """How an image becomes the network's input, float32 [batch, 3, height, width].

    Attributes:
        height, width: in pixels, of the images that the network was trained on.
        multiple: other heights and widths must be multiples of it; 0 if no others are allowed.
        minimum, maximum: input values of the levels 0 and 255.
        resize_filter, antialias: of the resize, as in Pillow's `Image.resize`.
        jpeg_scaled_decoding: whether a JPEG of at least twice the size is decoded at a fraction of
            its size first (Pillow's `Image.draft`).
        intensity: level of a 16-bit gray image that was white in training; None for what each image
            states, or else 65535 (`runtime.data.levels`).
        volumes: how slices of volumes became the images that the network was trained on; None where
            they were pictures (`runtime.data.volumes.gray`).
        resize: how images of other sizes became inputs in training (`runtime.data.framing`).
        view_height, view_width: in image pixels, of what one input showed in training: the median
            height and width of the training images, or those of a window with "tile". None if they
            are unknown.

    Example:
        >>> InputSpec(256, 256, multiple=16).check_size((128, 192), "network.onnx")
        >>> InputSpec(256, 256).check_size((128, 192), "network.onnx")
        Traceback (most recent call last):
            ...
        runtime.core.errors.ConfigError: network.onnx: expected an input of 256x256, found 128x192
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
    intensity: int | None = None
    volumes: VolumeSpec | None = None
    resize: Resize = "stretch"
    view_height: int | None = None
    view_width: int | None = None

    def framing(self, size: Size, resize: Resize | None = None) -> Framing:
        """Return how images meet an input of `size`, by `resize` or else as in training."""
        rows, columns = self.view_height, self.view_width
        view = None if rows is None or columns is None else (rows, columns)
        return Framing(size, resize or self.resize, view)

    def check_size(self, size: Size, where: str) -> None:
        """Check that the network accepts an input of this size.

        Args:
            size: (height, width) in pixels.
            where: name of the file, for the error message.

        Raises:
            ConfigError: it does not.
        """
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
    """The meaning of the output, float32 [batch, 1, height, width] in [0, 1]."""

    labels: tuple[str, ...]
    meaning: str = "probability that the pixel is foreground, after a sigmoid"


@dataclass(frozen=True, slots=True)
class NetworkInfo:
    """Architecture and cost of a network.

    Attributes:
        arch: name of the architecture; "ensemble" for several networks in one file.
        width: channels of the decoder's last level; 0 for an ensemble.
        parameters: of the trained network, normalization included.
        macs: multiply-accumulate operations for one image of the input's height and width.
    """

    arch: str
    width: int
    parameters: int
    macs: int


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """Origin of an encoder's pretrained weights.

    Attributes:
        source: of the weights, in words.
        sha256: of their file; empty if it is unknown.
        license: of the weights; None if it is unknown.
        frozen: whether the encoder was not trained, and still has these weights.
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
        images: number of images per split.
        epochs: number of trained epochs.
        best_epoch: the epoch, from 1, whose weights are in the file.
        loss: in words.
        validation: loss and soft metrics of the best epoch, means per image.
        augmented: whether training images were changed at random.
        categories: names of the categories that were chosen as foreground; empty for all.
        annotations: number of annotations by category, which were all foreground.
        arithmetic: of the network in training: "float32" or "bf16"; empty if it is unknown.
        empty: "drop" if images without annotations were not trained on; they do not count in
            `images`, but belong to the manifest.
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
    categories: tuple[str, ...] = ()
    annotations: dict[str, int] = field(default_factory=dict)
    arithmetic: str = ""
    empty: EmptyImages = "keep"


@dataclass(frozen=True, slots=True)
class MemberInfo:
    """One network of an ensemble: the name of its run, and the metadata of a file of its own."""

    name: str
    network: NetworkInfo
    training: TrainingInfo
    encoder: EncoderInfo | None


@dataclass(frozen=True, slots=True)
class Metadata:
    """The metadata document of an exported file.

    Attributes:
        name: of the network, such as "unet-scratch-w16".
        training, encoder: None in an ensemble, whose members have their own.
        parity: the certificate.
        members: networks of an ensemble, whose output is the mean of their probabilities.
        precision: of the stored weights: "fp32", "fp16" or "int8".
        conversion: how a variant was made; None in the plain file.
        license: SPDX identifier of the terms under which the network may be used; None if its
            author states none.
        schema: "major.minor"; a reader accepts one major version.
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
    """Return the document as JSON.

    Example:
        >>> document = Metadata(
        ...     name="tiny",
        ...     input=InputSpec(64, 64, multiple=16),
        ...     output=OutputSpec(("foreground",)),
        ...     network=NetworkInfo("scratch", width=4, parameters=1, macs=1),
        ... )
        >>> parse_metadata(dump_metadata(document), "tiny.onnx") == document
        True
    """
    return json.dumps(to_dict(metadata), allow_nan=False, sort_keys=True)


def parse_metadata(text: str, where: str) -> Metadata:
    """Parse a metadata document.

    Args:
        text: JSON, as `dump_metadata` returns it.
        where: name of the file, for error messages.

    Raises:
        ModelError: the text is not JSON, lacks a field, or is of another major version.

    Example:
        >>> parse_metadata('{"schema": "9.0"}', "m.onnx")
        Traceback (most recent call last):
            ...
        runtime.core.errors.ModelError: m.onnx: expected metadata of version 2, found '9.0'

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
    if spec.intensity is not None and not 1 <= spec.intensity <= MAX_LEVEL:
        raise ModelError(
            f"{where}: expected an intensity from 1 to {MAX_LEVEL}, found {spec.intensity}"
        )
    for side in (spec.view_height, spec.view_width):
        if side is not None and side < 1:
            raise ModelError(f"{where}: expected a view of 1 pixel or more, found {side}")
    free = ("height", "width", "multiple", "intensity", "volumes", "resize", *_VIEW)
    if spec != InputSpec(**{name: getattr(spec, name) for name in free}):
        raise ModelError(
            f"{where}: expected an input of RGB in [0, 1], resized with the antialiased "
            f"{RESIZE_FILTER} filter, found {to_dict(spec)}"
        )
    return metadata
