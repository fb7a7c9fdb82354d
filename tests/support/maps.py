"""Probability maps with their masks, as tests of metrics draw them."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

Pair = tuple[NDArray[Any], NDArray[np.uint8]]
SHAPES = hnp.array_shapes(min_dims=1, max_dims=2, max_side=8)
TOLERANCE = 1e-9


@st.composite
def pairs(draw: st.DrawFn, binary: bool = False) -> Pair:
    shape = draw(SHAPES)
    single = draw(st.booleans())
    values = st.floats(0, 1, width=32) if single else st.floats(0, 1)
    if binary:
        values = st.sampled_from([0.0, 1.0])
    kind = np.float32 if single else np.float64
    probability = draw(hnp.arrays(kind, shape, elements=values))
    return probability, draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 1)))
