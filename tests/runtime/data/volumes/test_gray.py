"""Slices as gray images: exact percentiles of a whole volume, one range, NaN, constant volumes."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from runtime.core.errors import ConfigError, ImageError
from runtime.core.progress import Progress
from runtime.data.volumes.gray import VolumeSpec, gray_slices, percentiles, to_gray
from runtime.data.volumes.volume import volume_of

FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)
SHARES = st.tuples(st.floats(0, 100), st.floats(0, 100))


@settings(deadline=None)  # the first call imports
@given(arrays(np.float32, (3, 2, 4), elements=FLOATS), SHARES)
def test_percentiles_are_those_of_all_finite_voxels(
    voxels: np.ndarray, shares: tuple[float, float]
) -> None:
    finite = voxels[np.isfinite(voxels)]
    found = percentiles(lambda: iter(voxels), shares)
    if not finite.size:
        assert found is None
    else:
        expected = np.percentile(finite, shares, method="inverted_cdf")
        np.testing.assert_array_equal(found, expected)


def test_one_range_holds_for_all_slices_of_a_volume() -> None:
    voxels = np.stack([np.full((2, 2), level, np.float32) for level in range(101)])
    gray = gray_slices(volume_of(voxels), VolumeSpec(low=10, high=60))
    # Of 101 values, 10 % are not above 10 and 60 % not above 60.
    expected = np.rint(np.clip((np.arange(101) - 10) / 50, 0, 1) * 255)
    assert [int(gray(index)[0, 0]) for index in range(101)] == expected.tolist()


def test_each_pass_of_percentiles_reports_its_slices() -> None:
    told: list[Progress] = []
    volume = volume_of(np.arange(12, dtype=np.float32).reshape(3, 2, 2))
    gray_slices(volume, VolumeSpec(range="window", low=0, high=1), told.append)
    assert not told
    gray_slices(volume, VolumeSpec(), told.append)
    assert told == 2 * [Progress(number, 3, "read") for number in (1, 2, 3)]


def test_a_volume_of_one_value_is_black_and_one_without_values_is_refused() -> None:
    assert not gray_slices(volume_of(np.full((2, 3, 3), 7, np.float32)), VolumeSpec())(0).any()
    with pytest.raises(ImageError, match=r"^head: no voxel has a finite value$"):
        gray_slices(volume_of(np.full((2, 3, 3), np.nan, np.float32), name="head"), VolumeSpec())


def test_values_beyond_the_window_are_clipped_and_nan_is_black() -> None:
    values = np.array([-np.inf, -5, 0, 1, 4, np.inf, np.nan], np.float32)
    assert to_gray(values, 0, 4).tolist() == [0, 0, 0, 64, 255, 255, 0]


@pytest.mark.parametrize(
    "spec", [{"low": -1.0}, {"high": 101.0}, {"range": "window", "low": 5.0, "high": 5.0},
             {"range": "window", "low": np.nan}]
)  # fmt: skip
def test_a_rule_out_of_its_range_is_refused(spec: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"^volumes: expected"):
        VolumeSpec(**spec)  # type: ignore[arg-type]
