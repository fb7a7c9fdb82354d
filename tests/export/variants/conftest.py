"""What the tests of variants share."""

import numpy as np
import onnx
import pytest

from export.variants.pixel_shuffle import shuffle_pixels
from export.variants.quantization import Quantizer


@pytest.fixture(scope="module")
def plain(converted_run: onnx.ModelProto) -> onnx.ModelProto:
    return converted_run


@pytest.fixture(scope="module")
def quantizer(plain: onnx.ModelProto) -> Quantizer:
    rng = np.random.default_rng(1)
    images = (rng.random((1, 3, 32, 32), np.float32) for _ in range(4))
    return Quantizer(shuffle_pixels(plain), images)
