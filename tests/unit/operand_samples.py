"""Operand activations of made-up features: sums, lookup tables, strips and noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ct_widgets.arithmetic.operands import OperandActivations, columns

Plots = Mapping[tuple[int, int], npt.NDArray[np.float32]]


def operands_of(
    plots: Plots,
    *,
    a: Sequence[int] = range(100),
    b: Sequence[int] = range(100),
    n_features: tuple[int, ...] = (40, 40, 40),
    template: str = "calc: {a}+{b}=",
    tokens: tuple[str, ...] = ("calc:", "36", "+59", "="),
    before: Plots | None = None,
) -> OperandActivations:
    """Operand activations whose plots are those given, by (layer, index)."""
    first = np.cumsum([0, *n_features])
    flat = {first[layer] + index: plot.reshape(-1) for (layer, index), plot in sorted(plots.items())}
    cells = {feature: np.flatnonzero(plot) for feature, plot in flat.items()}
    feature = np.concatenate([np.full(len(cell), feature) for feature, cell in cells.items()])
    value = np.concatenate([flat[feature][cell] for feature, cell in cells.items()])
    made = OperandActivations(
        template=template,
        a=tuple(a),
        b=tuple(b),
        position=-1,
        tokens=tokens,
        n_features=n_features,
        **columns(feature, np.concatenate(list(cells.values())), value, n_features),
    )
    same = {"a": a, "b": b, "n_features": n_features, "template": template, "tokens": tokens}
    return made if before is None else replace(made, before=operands_of(before, **same))


def made_up(features: int, *, density: float = 0.08, seed: int = 0) -> dict[tuple[int, int], npt.NDArray[np.float32]]:
    """Plots [100, 100] of features that are about so often active, by (layer, index), spread over three layers."""
    rng = np.random.default_rng(seed)
    a, b = np.meshgrid(np.arange(100), np.arange(100), indexing="ij")
    plots: dict[tuple[int, int], npt.NDArray[np.float32]] = {}
    for i in range(features):
        k, width = rng.integers(20, 180), 100 * density / 2
        distance = [
            np.abs(a + b - k) / width,
            np.hypot(a - k % 100, b - (k * 7) % 100) / np.sqrt(density * 1e4 / np.pi),
            np.abs(a - k % 100) / width,
        ][i % 3]
        plot = np.maximum(0, 1 - distance) * rng.uniform(0.5, 1.5, (100, 100)) * rng.uniform(1, 12)
        plots[i % 3, i // 3] = plot.astype(np.float32)
    return plots
