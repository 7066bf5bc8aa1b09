"""Families of features that calculate, told from operand plots [CT25, "Addition"]: sum, lookup table, add function."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

    from ct_widgets.arithmetic.operands import OperandActivations

Kind = Literal["sum", "lookup", "add", "active", "other"]
Precision = Literal["exact", "range", "fuzzy"]
Modularity = Literal["none", "10", "100", "other"]

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Family:
    """What a feature is for. name: short, such as "sum = _5"; explained: share of the plot's variance, 0 to 1."""

    kind: Kind
    precision: Precision
    modularity: Modularity
    name: str
    explained: float


def classify(plot: npt.ArrayLike, a: Iterable[int] = range(100), b: Iterable[int] = range(100)) -> Family:
    """The family of a feature by its operand plot [a, b]."""
    values = np.asarray(plot, np.float64)
    x, y = np.meshgrid(np.array(list(a)), np.array(list(b)), indexing="ij")
    tables: list[tuple[Kind, Modularity, str, Int64, Int64]] = [
        ("sum", "10", "sum = _{}", (x + y) % 10, np.zeros_like(x)),
        ("add", "10", "add _{} to b", x % 10, np.zeros_like(x)),
        ("add", "10", "add _{} to a", y % 10, np.zeros_like(x)),
        ("sum", "100", "sum = _{}", (x + y) % 100, np.zeros_like(x)),
        ("add", "none", "add {} to b", x, np.zeros_like(x)),
        ("add", "none", "add {} to a", y, np.zeros_like(x)),
        ("sum", "none", "sum ~ {}", x + y, np.zeros_like(x)),
        ("lookup", "10", "_{} + _{}", x % 10, y % 10),
        ("lookup", "none", "~{}5 + ~{}5", x // 10, y // 10),
    ]
    best = Family("other", "fuzzy", "none", "other", 0.0)
    for kind, modularity, name, first, second in tables:
        explained, peak = _table(values, first, second)
        if explained > best.explained + 0.02:
            best = Family(kind, "exact", modularity, name.format(*peak), explained)
    if best.explained < 0.5:
        if (values > 0).mean() > 0.9:
            return Family("active", "fuzzy", "none", "active", best.explained)
        return Family("other", "fuzzy", "none", "other", best.explained)
    return best


def _table(values: Float64, first: Int64, second: Int64) -> tuple[float, tuple[int, int]]:
    """Explained variance by one value for each group, each cell left out of its own, and the highest group."""
    _, group = np.unique(first * 1000 + second, return_inverse=True)
    group = group.ravel()
    flat = values.ravel()
    size = np.bincount(group)
    mean = np.bincount(group, flat) / size
    total = ((flat - flat.mean()) ** 2).sum()
    if total == 0:
        return 0.0, (0, 0)
    left_out = np.where(
        size[group] > 1, (flat - mean[group]) * size[group] / np.maximum(size[group] - 1, 1), flat - flat.mean()
    )
    at = int(np.flatnonzero(group == mean.argmax())[0])
    return float(1 - (left_out**2).sum() / total), (int(first.flat[at]), int(second.flat[at]))


def families(operands: OperandActivations) -> pd.DataFrame:
    """The family of every feature that is active for some pair: layer, index, and the fields of Family."""
    import pandas as pd

    rows = [
        {"layer": layer, "index": index, **vars(classify(operands.plot(layer, index), operands.a, operands.b))}
        for layer, index in zip(operands.layer.tolist(), operands.index.tolist(), strict=True)
    ]
    return pd.DataFrame(rows, columns=["layer", "index", *Family.__dataclass_fields__])
