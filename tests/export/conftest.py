"""What the tests of export share."""

import copy
from collections.abc import Iterator

import onnx
import pytest

from tests.support.conversions import Conversions
from tests.support.made_once import MadeOnce
from tests.support.quick_conversion import Convert


@pytest.fixture(scope="session")
def conversions(made_once: MadeOnce, quick_convert: Convert) -> Conversions:
    return Conversions(made_once, quick_convert)


@pytest.fixture(scope="module")
def converted_once(converted_run: onnx.ModelProto) -> Iterator[None]:
    """Exports of the run's network take its graph as it was converted before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("export.pipeline.convert", lambda *_: copy.deepcopy(converted_run))
        yield
