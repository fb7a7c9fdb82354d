"""The input of a segmentation network in an ONNX file: its layout and its size."""

from runtime.core.errors import ConfigError, ModelError
from runtime.data.orientation import Size
from runtime.data.resizing import check_size
from runtime.model.metadata import InputSpec
from runtime.model.onnx_file import FLOAT32, OnnxFile, TensorInfo


def input_of(file: OnnxFile, size: Size | None = None) -> tuple[InputSpec, Size]:
    """Return what a file states of its input, and the (height, width) to run it at.

    Args:
        size: (height, width); by default the size that the file states.

    Raises:
        ModelError: it has not one input of images and one output of masks, or states no size.
        ConfigError: the network takes no input of this size.
    """
    if size is not None:
        check_size(size)
    for kind, infos, channels in (("input", file.inputs, 3), ("output", file.outputs, 1)):
        if len(infos) != 1 or not _is_image(infos[0], channels):
            found = ", ".join(str(info) for info in infos) or "none"
            raise ModelError(
                f"{file.path}: expected one {kind} float32 [batch, {channels}, height, width], "
                f"found {found}"
            )
        if _is_channels_last(infos[0], channels):
            raise ModelError(
                f"{file.path}: the {kind} {infos[0]} has its channels last (NHWC); export the "
                f"network with channels first, [batch, {channels}, height, width]"
            )
    # An input without a stated shape is taken as one with dynamic sides.
    fixed = file.inputs[0].shape[2:] or (None, None)
    if file.metadata is not None:
        spec = file.metadata.input
    else:
        sides = size or (fixed[0] or 0, fixed[1] or 0)
        if 0 in sides:
            raise ModelError(
                f"{file.path}: the file does not state its input's size; give --size (in Python "
                "size=(height, width))"
            )
        spec = InputSpec(*sides, multiple=0 if any(fixed) else 1)
    chosen = size or (spec.height, spec.width)
    spec.check_size(chosen, str(file.path))
    if any(side not in (None, wanted) for side, wanted in zip(fixed, chosen, strict=True)):
        stated = "x".join("?" if side is None else str(side) for side in fixed)
        raise ConfigError(
            f"{file.path}: expected an input of {stated}, found {chosen[0]}x{chosen[1]}"
        )
    return spec, chosen


def _is_image(info: TensorInfo, channels: int) -> bool:
    """Return whether a tensor can be an image; one without a stated shape is seen when it runs."""
    if info.element_type != FLOAT32 or len(info.shape) not in (0, 4):
        return False
    return not info.shape or info.shape[1] in (channels, None) or _is_channels_last(info, channels)


def _is_channels_last(info: TensorInfo, channels: int) -> bool:
    return len(info.shape) == 4 and info.shape[3] == channels != info.shape[1]
