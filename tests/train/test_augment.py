import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from train.augment import augment

SIZE = 64


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def grid() -> tuple[Tensor, Tensor]:
    """Rows and columns of the pixels' centers, from the image's center."""
    places = torch.arange(SIZE) - (SIZE - 1) / 2
    rows, columns = torch.meshgrid(places, places, indexing="ij")
    return rows, columns


def batch_of(mask: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The same scan many times: gray where the mask is, dark elsewhere."""
    masks = mask.float().expand(count, 1, SIZE, SIZE)
    return (0.2 + 0.4 * masks).expand(count, 3, SIZE, SIZE), masks


def test_types_shapes_and_ranges_stay() -> None:
    images = torch.rand(5, 3, 32, 48).contiguous(memory_format=torch.channels_last)
    masks = (torch.rand(5, 1, 32, 48) < 0.5).float()
    for _ in range(10):
        changed, moved = augment(images, masks)
        assert (type(changed), type(moved)) == (Tensor, Tensor)
        assert (changed.shape, moved.shape) == (images.shape, masks.shape)
        assert changed.dtype == moved.dtype == torch.float32
        assert changed.is_contiguous(memory_format=torch.channels_last)
        assert changed.min() >= 0.0
        assert changed.max() <= 1.0
        assert set(moved.flatten().tolist()) == {0.0, 1.0}


def test_a_mask_moves_with_its_image() -> None:
    rows, columns = grid()
    blob = ((rows + 8) ** 2 + (columns - 12) ** 2 / 3 < 150) & (rows < 0)
    images, masks = augment(*batch_of(blob, 30))
    for image, mask in zip(images, masks, strict=True):
        inside, outside = image[0][mask[0] == 1.0], image[0][mask[0] == 0.0]
        middle = (inside.median() + outside.median()) / 2
        # Along the outline they may differ: the image is interpolated, the mask is not.
        assert ((image[0] > middle) != (mask[0] == 1.0)).sum() < 2 * blob.sum().sqrt()


def test_each_image_has_a_draw_of_its_own_that_the_seed_gives() -> None:
    rows, columns = grid()
    images, masks = batch_of((rows > 5) & (columns > 10), 6)
    torch.manual_seed(1)
    first = augment(images, masks)
    second = augment(images, masks)
    torch.manual_seed(1)
    again = augment(images, masks)
    for one, two, three in zip(first, second, again, strict=True):
        assert torch.equal(one, three)
        assert not torch.equal(one, two)
    for i in range(6):
        assert all(not torch.equal(first[0][i], first[0][j]) for j in range(i))


def test_scans_turn_and_move_a_little_and_flip() -> None:
    rows, columns = grid()
    # A bar through the center, with a knob at its right end on the upper side.
    shape = (rows.abs() < 3) & (columns.abs() < 20)
    shape |= (rows > -9) & (rows < 0) & (columns > 14) & (columns < 20)
    _, bars = augment(*batch_of((rows.abs() < 2) & (columns.abs() < 20), 60))
    angles, shifts = [], []
    for mask in bars[:, 0] == 1.0:
        y, x = rows[mask].double(), columns[mask].double()
        shifts += [abs(float(x.mean())), abs(float(y.mean()))]
        angles.append(math.degrees(0.5 * math.atan2(2 * np.cov(x, y)[0, 1], x.var() - y.var())))
    assert 7.0 < max(abs(angle) for angle in angles) < 10.5
    assert 2.0 <= max(shifts) < 0.05 * SIZE + 0.6
    _, knobbed = augment(*batch_of(shape, 60))
    corners = {
        (float(rows[mask].mean()) > 0, float(columns[mask].mean()) > 0)
        for mask in knobbed[:, 0] == 1.0
    }
    assert len(corners) == 4


def test_scans_are_flipped_along_both_sides() -> None:
    rows, columns = grid()
    corner = (rows + SIZE / 4).abs() + (columns - SIZE / 4).abs() < 6  # upper right, off the middle
    _, masks = augment(*batch_of(corner, 80))
    places = [(float(rows[m].mean()) > 0, float(columns[m].mean()) > 0) for m in masks[:, 0] == 1.0]
    counts = [places.count((lower, right)) for lower in (True, False) for right in (True, False)]
    assert min(counts) >= 8  # of 20 each; fewer than 8 have a probability below 0.001


def test_the_light_changes_by_a_fifth() -> None:
    # Of one gray, so that contrast alone changes it only as far as black came in at the sides.
    images, masks = torch.full((60, 3, SIZE, SIZE), 0.5), torch.ones(60, 1, SIZE, SIZE)
    center = augment(images, masks)[0][:, 0, SIZE // 2, SIZE // 2]
    assert 0.39 < center.min() < 0.42
    assert 0.58 < center.max() < 0.63
    edge = torch.zeros(60, 3, SIZE, SIZE)
    edge[..., SIZE // 4 : -SIZE // 4, SIZE // 4 : -SIZE // 4] = 0.5
    changed = augment(edge, masks)[0]
    ranges = changed.amax((1, 2, 3)) - changed[:, 0, 8:-8, 8:-8].amin((1, 2))
    assert ranges.min() >= 0.5 * 0.8 * 0.8 - 1e-6
    assert ranges.max() <= 0.5 * 1.2 * 1.2 + 1e-6
    assert ranges.max() > 0.5 * 1.2


def test_a_cuda_device_gives_the_same() -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    rows, columns = grid()
    images, masks = batch_of((rows > 5) & (columns > 10), 6)
    results = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(1)
        results.append(augment(images.to(device), masks.to(device)))
    torch.testing.assert_close(results[1][0].cpu(), results[0][0], atol=1e-3, rtol=0.0)
    assert (results[1][1].cpu() != results[0][1]).float().mean() < 1e-3
