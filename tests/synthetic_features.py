"""Operand plots of features whose family is known, clean or with noise, for tests and for the published matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Plot = npt.NDArray[np.float64]
N = 100
a, b = np.meshgrid(np.arange(N), np.arange(N), indexing="ij")
NOISE = (0.0, 0.1, 0.25, 0.5)


class Sample(NamedTuple):
    """a feature and what it is. modularity is "" where several answers are right."""

    kind: str
    variant: str
    modularity: str
    plot: Plot


Random = np.random.Generator


def near(values: npt.NDArray[np.int64], centre: float, width: float) -> Plot:
    return np.exp(-(((values - centre) / width) ** 2) / 2) * (np.abs(values - centre) < 2 * width)


def within(values: npt.NDArray[np.int64], low: int, width: int) -> Plot:
    return ((values >= low) & (values < low + width)).astype(float)


def both_ways(plot: Plot) -> Plot:
    return np.maximum(plot, plot.T)


def pairs_at_random(random: Random) -> Plot:
    plot = np.zeros((N, N))
    plot[random.integers(0, N, 150), random.integers(0, N, 150)] = random.uniform(0.5, 1, 150)
    return both_ways(plot)


def speckles(random: Random) -> Plot:
    """Many small blobs at random places."""
    blobs = (near(a, x, 2) * near(b, y, 2) for x, y in random.integers(0, N, (30, 2)))
    return np.max(np.stack(list(blobs)), axis=0)


Maker = Callable[[Random], Plot]
MAKERS: dict[tuple[str, str, str], Maker] = {
    ("sum", "exact", "none"): lambda r: (a + b == r.integers(20, 179)).astype(float),
    ("sum", "range", "none"): lambda r: within(a + b, int(r.integers(20, 160)), int(r.integers(3, 13))),
    ("sum", "fuzzy", "none"): lambda r: near(a + b, r.uniform(25, 175), r.uniform(2.5, 9)),
    ("sum", "last digit", "10"): lambda r: ((a + b) % 10 == r.integers(10)).astype(float),
    ("sum", "last two digits", "100"): lambda r: ((a + b) % 100 == r.integers(100)).astype(float),
    ("sum", "parity", "other"): lambda r: ((a + b) % 2 == r.integers(2)).astype(float),
    ("sum", "modulo 5", "other"): lambda r: ((a + b) % 5 == r.integers(5)).astype(float),
    ("sum", "in part", "none"): lambda r: near(a + b, r.uniform(60, 140), 2) * (a % 10 < 7),
    ("lookup", "one pair", "none"): lambda r: both_ways(
        ((a == r.integers(50)) & (b == r.integers(50, N))).astype(float)
    ),
    ("lookup", "last digits", "10"): lambda r: ((a % 10 == r.integers(10)) & (b % 10 == r.integers(10))).astype(float),
    ("lookup", "last digits, either order", "10"): lambda r: both_ways(
        ((a % 10 == r.integers(10)) & (b % 10 == r.integers(10))).astype(float)
    ),
    ("lookup", "fuzzy", "none"): lambda r: (
        near(a, r.uniform(5, 95), r.uniform(3, 9)) * near(b, r.uniform(5, 95), r.uniform(3, 9))
    ),
    ("lookup", "fuzzy, either order", "none"): lambda r: both_ways(
        near(a, r.uniform(5, 45), r.uniform(3, 7)) * near(b, r.uniform(55, 95), r.uniform(3, 7))
    ),
    ("lookup", "ranges", "none"): lambda r: (
        within(a, 10 * int(r.integers(10)), 10) * within(b, 10 * int(r.integers(10)), 10)
    ),
    ("lookup", "digit and near", "other"): lambda r: (
        (a % 10 == r.integers(10)) * near(b, r.uniform(15, 85), r.uniform(4, 9))
    ),
    ("add", "exact", "none"): lambda r: (a == r.integers(N)).astype(float),
    ("add", "fuzzy", "none"): lambda r: near(b, r.uniform(5, 95), r.uniform(3, 9)),
    ("add", "range", "none"): lambda r: within(a, int(r.integers(5, 80)), int(r.integers(4, 15))),
    ("add", "last digit", "10"): lambda r: (b % 10 == r.integers(10)).astype(float),
    ("add", "either operand", "none"): lambda r: both_ways((a == r.integers(N)).astype(float)),
    ("active", "constant", "none"): lambda r: np.full((N, N), 1.0),
    ("active", "with a slope", "none"): lambda r: 1 + r.uniform(0, 0.01) * a + r.uniform(0, 0.01) * b,
    ("other", "pairs at random", ""): pairs_at_random,
    ("other", "speckles", ""): speckles,
    ("other", "difference", ""): lambda r: near(a - b, r.uniform(-40, 40), r.uniform(2, 5)),
}


def with_noise(plot: Plot, level: float, random: Random) -> Plot:
    """Activations that vary by `level`, of which half as many are missing, and strays at a hundredth of the pairs."""
    noisy = plot * np.maximum(1 + level * random.standard_normal(plot.shape), 0)
    noisy *= random.random(plot.shape) >= level / 2
    stray = random.random(plot.shape) < level / 100
    return np.where(stray, plot.max() * random.random(plot.shape), noisy)


def samples(each: int, level: float, seed: int = 0) -> Iterator[Sample]:
    """So many features of every variant, with noise of one level."""
    random = np.random.default_rng(seed)
    for (kind, variant, modularity), make in MAKERS.items():
        for _ in range(each):
            plot = make(random) * random.uniform(0.5, 5)
            yield Sample(kind, variant, modularity, with_noise(plot, level, random))
