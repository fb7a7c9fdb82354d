"""The stages of one prediction, from an encoded image to the map at the image's size."""

import io
import time

import numpy as np
from PIL import Image

from runtime.data.images import decode_image
from runtime.data.phantom_drawing import draw_scan
from runtime.data.resizing import resize_image, resize_map, to_input
from runtime.model.predictor import Predictor

STAGES = ("decode", "resize", "infer", "post_process")
_SIDE = 640


def example_jpeg() -> bytes:
    """Return a synthetic scan as a JPEG of 640x640 pixels, the size of the study's scans."""
    stream = io.BytesIO()
    scan = Image.fromarray(draw_scan(_SIDE, 0)).convert("RGB")
    scan.save(stream, format="JPEG", quality=90)
    return stream.getvalue()


def time_stages(predictor: Predictor, content: bytes) -> dict[str, float]:
    """Predict one encoded image by the steps of `Predictor.__call__`, and time each step.

    Args:
        predictor: the network.
        content: bytes of an image file.

    Returns:
        Seconds by stage: `decode` (to RGB, a JPEG at a fraction of its size if that suffices),
        `resize` (to the network's size, and into its float32 input), `infer`, and `post_process`
        (the map is resized to the image's own size).

    Raises:
        ImageError, ModelError: as `Predictor`.
    """
    marks = [time.perf_counter()]

    def mark() -> None:
        marks.append(time.perf_counter())

    image, original_size = decode_image(content, predictor.size)
    mark()
    inputs = to_input(resize_image(image, predictor.size))[np.newaxis]
    mark()
    probability = predictor.run(inputs)[0]
    mark()
    resize_map(probability, original_size)
    mark()
    return dict(zip(STAGES, np.diff(marks).tolist(), strict=True))
