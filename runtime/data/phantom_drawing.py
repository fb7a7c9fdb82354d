"""Drawing of synthetic head scans: the anatomy of a person, and slices of it.

A head has a skull, fluid, and a brain with folds and ventricles. One lesion, bright or dark, has a
random size. The slices show both at varying depths, under a smooth bias field and Rician noise
(Gudbjartsson, Patz 1995).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float64]

_CONTOUR_POINTS = 48


def draw_scan(size: int, number: int) -> NDArray[np.uint8]:
    """Return one synthetic scan, uint8 [size, size]: the middle slice of the person `number`.

    Example:
        >>> scan = draw_scan(64, number=0)
        >>> scan.shape, scan.dtype, int(scan[0, 0]) < int(scan[32, 32])
        ((64, 64), dtype('uint8'), True)
    """
    rng = np.random.default_rng([0, number])
    return draw_slice(Person.draw(rng), 0.0, size, rng)[0]


@dataclass(frozen=True, slots=True)
class Person:
    """The anatomy that all slices of a person share; lengths are shares of half an image's side."""

    axes: tuple[float, float]
    angle: float
    offset: tuple[float, float]
    skull: float
    tissue: float
    ventricle: float
    lesion_level: float
    lesion_radius: float
    lesion_place: tuple[float, float]
    lesion_depth: float
    wobble: tuple[float, ...]
    bias: tuple[float, ...]
    noise: float
    texture: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Person":
        """Return a random person."""
        distance, direction = 0.55 * np.sqrt(rng.uniform(0.02, 1.0)), rng.uniform(0, 2 * np.pi)
        bright = rng.random() < 0.5
        return cls(
            axes=(rng.uniform(0.64, 0.74), rng.uniform(0.78, 0.9)),
            angle=rng.normal(0.0, 0.08),
            offset=(rng.normal(0.0, 0.03), rng.normal(0.0, 0.03)),
            skull=rng.uniform(0.05, 0.09),
            tissue=rng.uniform(0.38, 0.5),
            ventricle=rng.uniform(0.08, 0.16),
            lesion_level=rng.uniform(0.78, 0.98) if bright else rng.uniform(0.02, 0.14),
            lesion_radius=float(np.exp(rng.uniform(np.log(0.09), np.log(0.3)))),
            lesion_place=(distance * np.cos(direction), distance * np.sin(direction)),
            lesion_depth=rng.uniform(-0.5, 0.5),
            wobble=tuple(rng.normal(0.0, 0.08, 6)),
            bias=tuple(rng.normal(0.0, 0.12, 5)),
            noise=rng.uniform(0.015, 0.035),
            texture=int(rng.integers(1 << 31)),
        )


def draw_slice(
    person: Person, depth: float, size: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Floats]:
    """Return the slice, uint8 [size, size], and the lesion's contour, [points, 2] in pixels."""
    axis = (np.arange(size) + 0.5) / size * 2.0 - 1.0
    x, y = np.meshgrid(axis - person.offset[0], axis - person.offset[1])
    u = x * np.cos(person.angle) + y * np.sin(person.angle)
    v = -x * np.sin(person.angle) + y * np.cos(person.angle)
    shrink = np.sqrt(1.0 - 0.3 * depth**2)
    scaled = (u / (person.axes[0] * shrink), v / (person.axes[1] * shrink))
    radius = np.hypot(*scaled)
    texture_rng = np.random.default_rng([person.texture, round((depth + 1) * 1000)])
    coarse, fine = (_smooth_noise(cells, size, texture_rng) for cells in (7, 22))

    brain = person.tissue + 0.10 * np.tanh(3 * coarse) + 0.04 * fine
    folds = np.exp(-((coarse + 0.5 * fine) ** 2) / 0.02) * np.clip(radius * 2.2 - 0.9, 0.0, 1.0)
    brain = brain - 0.22 * folds
    gap = person.ventricle * (1.2 - abs(depth))
    for side in (-1.0, 1.0):
        inside = np.hypot((u - side * gap) / (0.55 * gap), (v + 0.05) / (2.2 * gap))
        brain += (0.1 - brain) * _edge(1.0 - inside, 0.12)

    place = np.array(person.lesion_place) * np.array(person.axes) * shrink
    swell = np.sqrt(max(0.15, 1.0 - 0.8 * (depth - person.lesion_depth) ** 2))
    reach = person.lesion_radius * swell
    angle = np.arctan2(v - place[1], u - place[0])
    distance = np.hypot(u - place[0], v - place[1]) / (reach * _wobbled(angle, person.wobble))
    level = person.lesion_level + 0.06 * fine
    brain += (level - brain) * _edge(1.0 - distance, 0.08)

    tissue_edge = 1.0 - person.skull / min(person.axes)
    image = _edge(tissue_edge - 0.045 - radius, 0.02) * brain
    ring = _edge(radius - tissue_edge, 0.015) * _edge(1.0 - radius, 0.015)
    image += 0.85 * ring + 0.06 * _edge(1.0 - radius, 0.02)
    return _scanned(image, person, x, y, rng), _contour(person, place, reach, size)


def _scanned(
    image: Floats, person: Person, x: Floats, y: Floats, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return an image under the bias field and Rician noise, as levels."""
    a, b, c, d, e = person.bias
    image = image * np.exp(a * x + b * y + c * x * y + d * x**2 + e * y**2)
    real = image + rng.normal(0.0, person.noise, image.shape)
    image = np.hypot(real, rng.normal(0.0, person.noise, image.shape))
    return np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)


def _contour(person: Person, place: Floats, reach: float, size: int) -> Floats:
    angle = np.linspace(0.0, 2 * np.pi, _CONTOUR_POINTS, endpoint=False)
    length = reach * _wobbled(angle, person.wobble)
    u, v = place[0] + length * np.cos(angle), place[1] + length * np.sin(angle)
    x = u * np.cos(person.angle) - v * np.sin(person.angle) + person.offset[0]
    y = u * np.sin(person.angle) + v * np.cos(person.angle) + person.offset[1]
    return np.clip((np.stack([x, y], axis=1) + 1.0) / 2.0 * size, 0.0, size)


def _wobbled(angle: Floats, wobble: tuple[float, ...]) -> Floats:
    radius = np.ones_like(angle)
    for order, (cosine, sine) in enumerate(zip(wobble[::2], wobble[1::2], strict=True), start=2):
        radius += cosine * np.cos(order * angle) + sine * np.sin(order * angle)
    return np.maximum(radius, 0.4)


def _edge(signed_distance: Floats, width: float) -> Floats:
    return np.clip(signed_distance / width + 0.5, 0.0, 1.0)


def _smooth_noise(cells: int, size: int, rng: np.random.Generator) -> Floats:
    grid = Image.fromarray(rng.normal(0.0, 1.0, (cells, cells)).astype(np.float32))
    return np.asarray(grid.resize((size, size), Image.Resampling.BICUBIC), np.float64)
