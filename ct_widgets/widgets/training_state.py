"""A run as a training view shows it: curves of bounded length, and the state of the run, as JSON values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

MOST_POINTS = 400
"""Points of a curve, at which every two become one: a run of any length travels in the same few kilobytes."""

_DIGITS = 5


class Curve:
    """Values over tokens, in time averaged over more and more steps."""

    def __init__(self) -> None:
        self._points: list[tuple[float, float]] = []
        self._steps = 1
        self._sum = 0.0
        self._n = 0
        self._tokens = 0.0

    def add(self, tokens: float, value: float) -> None:
        """Append a value, measured after so many tokens; what is not finite is left out."""
        if not math.isfinite(value):
            return
        self._sum, self._n, self._tokens = self._sum + value, self._n + 1, tokens
        if self._n < self._steps:
            return
        self._points.append((tokens, self._sum / self._n))
        self._sum, self._n = 0.0, 0
        if len(self._points) == MOST_POINTS:
            pairs = zip(self._points[::2], self._points[1::2], strict=True)
            self._points = [(after[0], (before[1] + after[1]) / 2) for before, after in pairs]
            self._steps *= 2

    def points(self) -> list[list[float]]:
        """List [tokens, value] in the order of tokens, the newest values included."""
        newest = [(self._tokens, self._sum / self._n)] if self._n else []
        return [[tokens, short(value)] for tokens, value in (*self._points, *newest)]


def new_curves() -> dict[str, Curve]:
    """Make the empty lines of the four charts, by the names that `js/src/core/training/training.ts` gives them."""
    names = ("loss", "batch, mean of layers", "held out, overall", "L0", "dead features", "same top-1 as model")
    return {name: Curve() for name in names}


def layer_rows(mse: Sequence[float], l0: Sequence[float], dead: Sequence[float]) -> list[list[Any]]:
    """Make the final table: a row per layer, then all layers: mean of errors and shares, sum of active features."""
    rows = [[str(layer), *map(short, figures)] for layer, figures in enumerate(zip(mse, l0, dead, strict=True))]
    n = len(rows)
    return [*rows, ["all", short(sum(mse) / n), short(sum(l0)), short(sum(dead) / n)]] if n else []


def short(value: float) -> float:
    """Round to the digits that can be seen."""
    return float(f"{value:.{_DIGITS}g}")
