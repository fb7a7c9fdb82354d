"""A graph of one input size."""

import onnx
import pytest

from export.winograd import ConvAlgorithm, rewrite
from runtime.core.errors import ConfigError
from tests.support.conversions import ENSEMBLE, Conversions


@pytest.fixture(scope="module")
def plain(conversions: Conversions) -> dict[str, onnx.ModelProto]:
    return {name: conversions[name][1] for name in ("scratch", ENSEMBLE)}


def test_a_size_that_the_network_does_not_take_is_an_error(
    plain: dict[str, onnx.ModelProto],
) -> None:
    with pytest.raises(ConfigError, match="the network cannot take an input of 40x64"):
        rewrite(plain["scratch"], (40, 64), lambda _: ConvAlgorithm.F4)
