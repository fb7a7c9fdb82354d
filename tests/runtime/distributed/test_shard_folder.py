"""The parts of a shared folder: whatever was finished, the rest is done once."""

from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st

from runtime.distributed.shard_folder import ShardFolder

CUTS = st.dictionaries(st.integers(1, 19), st.booleans(), max_size=8)


@given(CUTS, st.booleans(), st.integers(1, 7))
@settings(max_examples=60, deadline=None)
def test_what_is_missing_is_listed_once_and_in_one_shard_each(
    tmp_path_factory: pytest.TempPathFactory, cuts: dict[int, bool], first: bool, size: int
) -> None:
    """Parts may end within a shard, as those of a shard that was split do."""
    folder = ShardFolder(tmp_path_factory.mktemp("parts"))
    is_done = {0: first, **cuts}
    done = [pair for pair in pairwise(sorted({*is_done, 20})) if is_done[pair[0]]]
    for start, stop in done:
        folder.part_file(start, stop).touch()
    (folder.path / "plan.json").touch()
    missing = list(folder.missing(20, size))
    images = [image for start, stop in [*done, *missing] for image in range(start, stop)]
    assert sorted(images) == list(range(20))
    assert all(start // size == (stop - 1) // size for start, stop in missing)
    assert folder.parts() == [folder.part_file(*pair) for pair in done]
